FROM debian:13
RUN curl http://localhost:8080/ready
RUN curl -O http://example.com/a && echo "abc  a" | sha256sum -c
RUN wget http://example.com/a
RUN echo http://example.com/
ADD http://example.com/a /a
