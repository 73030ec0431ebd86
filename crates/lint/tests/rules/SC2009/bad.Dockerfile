FROM debian:12
RUN ps ax | grep nginx
