FROM golang:1.26
COPY . .
RUN --mount=type=cache,target=/root/.cache/go-build go build -o /app .
