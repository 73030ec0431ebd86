FROM debian:12
RUN export VERSION="$(cat /version)" && make
