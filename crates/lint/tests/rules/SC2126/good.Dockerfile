FROM debian:12
RUN grep -c a /etc/motd
