FROM rust:1.90 AS a
COPY --from=tonistiigi/xx / /
RUN cd /src && xx-cargo build --release
FROM --platform=$BUILDPLATFORM rust:1.90 AS b
COPY --from=tonistiigi/xx / /
RUN xx-cargo build --release
FROM rust:1.90 AS c
RUN cargo build --target x86_64-unknown-linux-musl && xx-cargo --print-target-triple
FROM golang:1.26 AS d
RUN xx-go build -o /app .
