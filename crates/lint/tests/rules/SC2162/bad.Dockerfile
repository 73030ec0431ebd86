FROM debian:12
RUN while read line; do touch "$line"; done < /list
