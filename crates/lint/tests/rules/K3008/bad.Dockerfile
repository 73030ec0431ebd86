FROM debian:12
RUN chmod -R 777 /srv
