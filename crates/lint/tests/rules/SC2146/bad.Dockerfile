FROM debian:12
RUN find /srv -name '*.a' -o -name '*.b' -exec rm {} +
