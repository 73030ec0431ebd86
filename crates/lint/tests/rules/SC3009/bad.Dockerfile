FROM debian:12
RUN mkdir -p /srv/{a,b}
