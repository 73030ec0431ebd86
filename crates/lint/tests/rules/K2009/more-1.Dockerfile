FROM golang:1.26 AS a
RUN go build .
FROM golang:1.26 AS b
ARG TARGETARCH
RUN export GOARCH=$TARGETARCH && go build .
FROM --platform=$BUILDPLATFORM golang:1.26 AS base
FROM base
ARG TARGETARCH
RUN GOARCH=$TARGETARCH go build .
