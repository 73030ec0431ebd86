FROM debian:12
RUN while read -r line; do touch "$line"; done < /list
