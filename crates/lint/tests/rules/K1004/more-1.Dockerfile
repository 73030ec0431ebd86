FROM golang:1.26 AS go
FROM node:24 AS nodes
FROM node
COPY --from=nodes /a /a
COPY --from=alpine:3 /a /a
COPY --from=runtime /a /a
RUN --mount=from=nodse,target=/x true
FROM debian:13 AS runtime
