FROM debian:13
RUN git -c http.sslVerify=false clone https://example.com/a.git
RUN git config --global http.sslVerify true
RUN echo "deb [trusted=yes] https://example.com/ a main" > /etc/apt/sources.list.d/a.list
RUN NODE_TLS_REJECT_UNAUTHORIZED=0 npm ci
ENV PIP_TRUSTED_HOST=example.com
