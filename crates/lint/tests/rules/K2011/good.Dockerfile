FROM debian:12
RUN curl -fsSLO https://example.com/a.tar.gz && tar -xf a.tar.gz && rm a.tar.gz
