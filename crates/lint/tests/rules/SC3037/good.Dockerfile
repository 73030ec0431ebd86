FROM debian:12
RUN printf 'a\nb\n' > /etc/motd
