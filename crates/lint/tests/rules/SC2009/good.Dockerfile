FROM debian:12
RUN pgrep nginx
