FROM debian:12
RUN read -r key < /keys && echo "$key"
