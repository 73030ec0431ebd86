FROM debian:12
RUN chown -R 1000:1000 /srv && chmod -R 750 /srv
