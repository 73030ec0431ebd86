FROM debian:12
RUN curl -k -O https://example.com/a
