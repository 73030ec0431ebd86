FROM debian:12
RUN prefix=/opt; make "PREFIX=$prefix"
