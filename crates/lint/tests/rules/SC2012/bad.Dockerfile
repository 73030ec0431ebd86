FROM debian:12
RUN ls /srv | head -n 1
