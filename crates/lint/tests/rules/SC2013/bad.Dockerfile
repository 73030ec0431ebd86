FROM debian:12
RUN for line in $(cat /list); do touch "$line"; done
