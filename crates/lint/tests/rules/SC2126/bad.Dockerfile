FROM debian:12
RUN grep a /etc/motd | wc -l
