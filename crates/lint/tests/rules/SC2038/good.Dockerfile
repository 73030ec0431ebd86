FROM debian:12
RUN find /srv -name '*.tmp' -exec rm {} +
