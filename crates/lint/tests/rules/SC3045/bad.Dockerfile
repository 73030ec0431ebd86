FROM debian:12
RUN read -n 1 -r key < /keys && echo "$key"
