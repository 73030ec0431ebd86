ARG TAG
FROM --platform=$BUILDPLATFORM golang:1.21 AS build
FROM --platform=linux/arm64 alpine:3.18
FROM --platform=${TARGETPLATFORM} alpine:3.18
FROM alpine:$TAG
FROM alpine:${TAG:-3.18}
FROM $IMAGE
FROM ${IMAGE}:latest
FROM example.com/x/y:latest
FROM example.com/x/y
FROM alpine@sha256:4edbd2beb5f78b1014028f4fbb99f3237d9561100b6881aabbf5acce2c4f9454
FROM build AS final
FROM build:1 AS final
