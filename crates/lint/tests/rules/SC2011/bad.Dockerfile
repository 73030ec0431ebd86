FROM debian:12
RUN ls /srv | xargs rm
