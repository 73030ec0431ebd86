# hadolint global ignore=DL3001,DL3002,DL3003,DL3006,DL3007,DL3008,DL3009,DL3010,DL3015,DL3020,DL3045,DL3059,DL3064,DL3066
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
