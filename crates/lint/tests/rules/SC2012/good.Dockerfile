FROM debian:12
RUN find /srv -mindepth 1 -print -quit
