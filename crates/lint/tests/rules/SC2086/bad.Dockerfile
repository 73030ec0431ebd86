FROM debian:12
RUN file=$(cat /name) && rm $file
