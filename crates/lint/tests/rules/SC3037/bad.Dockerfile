FROM debian:12
RUN echo -e 'a\nb' > /etc/motd
