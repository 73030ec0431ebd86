FROM debian:12
RUN VERSION="$(cat /version)" && export VERSION && make
