FROM debian:12
RUN grep -F a.b /etc/motd
