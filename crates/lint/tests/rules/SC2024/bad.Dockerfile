FROM debian:12
RUN sudo echo a > /etc/motd
