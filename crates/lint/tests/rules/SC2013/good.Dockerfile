FROM debian:12
RUN while IFS= read -r line; do touch "$line"; done < /list
