FROM debian:12
RUN printf '%s\n' /srv/a*
