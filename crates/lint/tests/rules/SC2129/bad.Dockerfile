FROM debian:12
RUN echo a >> /etc/motd; echo b >> /etc/motd; echo c >> /etc/motd
