FROM debian:12
RUN list=a; echo "$list"
