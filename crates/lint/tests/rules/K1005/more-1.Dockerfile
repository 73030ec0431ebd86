FROM golang:1.26 AS cgo
RUN go build -o /app .
RUN cp /etc/ssl/certs/ca-certificates.crt /
FROM golang:1.26 AS static
ENV CGO_ENABLED=0
RUN go build -o /app .
FROM golang:1.26-alpine AS musl
RUN go build -o /app .
FROM alpine:3.22
COPY --from=cgo /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=cgo /app /a
COPY --from=static /app /b
COPY --from=musl /app /c
FROM debian:13
COPY --from=cgo /app /a
