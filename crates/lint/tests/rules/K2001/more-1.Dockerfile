FROM golang:1.23 AS a
COPY . /src
RUN go mod download
FROM golang:1.23 AS b
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN go build
FROM node:20 AS c
RUN npm ci
COPY --from=a / /
COPY . .
RUN apt-get update && apt-get install -y curl
ONBUILD RUN npm ci
FROM node:20
COPY . .
RUN make
RUN npm ci
