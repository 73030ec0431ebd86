FROM debian:12
RUN chmod 755 /usr/bin/find
