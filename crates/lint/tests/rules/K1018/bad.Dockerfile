FROM debian:12
RUN gpg --keyserver ha.pool.sks-keyservers.net --recv-keys ABCD
