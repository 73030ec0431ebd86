FROM debian:12
RUN grep 'TODO.*' /etc/motd
