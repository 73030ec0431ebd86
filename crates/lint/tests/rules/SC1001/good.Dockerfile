FROM debian:12
RUN sed 's/\w//' /etc/motd
