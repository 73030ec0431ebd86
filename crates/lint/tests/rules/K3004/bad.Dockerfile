FROM debian:12
RUN curl -fsSLO http://example.com/a.tar.gz
