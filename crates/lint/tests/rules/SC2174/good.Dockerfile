FROM debian:12
RUN mkdir -p /srv/a && mkdir -m 700 /srv/a/b
