FROM debian:12
RUN egrep 'a|b' /etc/motd
