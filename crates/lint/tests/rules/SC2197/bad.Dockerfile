FROM debian:12
RUN fgrep a.b /etc/motd
