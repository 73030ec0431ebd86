FROM debian:12
RUN ls /srv | grep '^a'
