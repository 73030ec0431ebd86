FROM debian:12
ARG version=12
RUN make "VERSION=$version"
