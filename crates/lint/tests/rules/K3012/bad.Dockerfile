FROM debian:12
ADD https://example.com/a.tar.gz /
