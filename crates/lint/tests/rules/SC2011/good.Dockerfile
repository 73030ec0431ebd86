FROM debian:12
RUN find /srv -mindepth 1 -maxdepth 1 -exec rm {} +
