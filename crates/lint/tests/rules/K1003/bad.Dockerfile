FROM golang:1.22
RUN go build -o /app .
FROM debian:12
COPY app /app
