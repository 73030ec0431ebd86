# hadolint global ignore=DL3001,DL3002,DL3003,DL3006,DL3007,DL3008,DL3009,DL3010,DL3015,DL3020,DL3045,DL3059,DL3064,DL3066
FROM debian:12-slim AS a
COPY app /usr/bin/app
RUN mkdir -p /data && chown 1000 /data
USER app:app
USER nobody
USER 1000
USER $WHO
FROM a AS b
USER www-data
USER more
FROM debian:12
RUN useradd app
USER app
FROM ubuntu:24.04
RUN apt-get update && apt-get install -y rabbitmq-server
USER rabbitmq
FROM alpine
COPY passwd /etc/passwd
USER app
FROM alpine
COPY rootfs /
USER app
FROM alpine
USER app
FROM example.com/alpine
USER app
FROM node:20
USER node
FROM busybox
RUN echo a:x:1:1::/:/bin/sh >> /etc/passwd
USER a
FROM busybox
ADD root.tar /
USER a
FROM busybox
RUN ./make-users.sh
USER a
