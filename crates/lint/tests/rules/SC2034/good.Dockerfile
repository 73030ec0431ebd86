FROM debian:12
RUN version=12; make "VERSION=$version"
