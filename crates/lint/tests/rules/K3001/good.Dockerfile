FROM debian:12
RUN curl -O https://example.com/a
