FROM debian:12
VOLUME /dev/data
