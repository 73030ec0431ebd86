FROM debian:12
RUN cat /srv/*.txt
