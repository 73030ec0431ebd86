FROM debian:12
RUN mkdir -p -m 700 /srv/a/b
