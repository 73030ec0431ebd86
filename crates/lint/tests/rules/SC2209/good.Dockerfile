FROM debian:12
RUN today=$(date); echo "$today"
