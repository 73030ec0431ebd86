FROM debian:12
RUN echo 'a\nb' > /etc/motd
