FROM golang:1.22 AS build
FROM debian:12
COPY --from=build /app /app
