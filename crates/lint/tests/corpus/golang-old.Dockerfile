FROM golang:1.16-alpine as builder
RUN apk update && apk add git make gcc musl-dev
ENV GO111MODULE=on
WORKDIR $GOPATH/src/example.com/svc
RUN go get -u github.com/golang/dep/cmd/dep
RUN go install github.com/swaggo/swag/cmd/swag@latest
COPY . .
RUN go mod download && CGO_ENABLED=0 go build -a -installsuffix cgo -o /svc .
FROM alpine:latest
RUN apk --no-cache add ca-certificates tzdata
COPY --from=builder /svc .
EXPOSE 8080
CMD ["./svc"]
