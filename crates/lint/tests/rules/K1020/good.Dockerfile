FROM golang:1.26 AS build
RUN go build -o /app .
FROM build AS unit-test
RUN go test ./...
FROM debian:12 AS assets
COPY assets /assets
FROM scratch
COPY --from=build /app /app
COPY --from=assets /assets /assets
