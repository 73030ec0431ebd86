# syntax=docker/dockerfile:1
FROM golang:1.23 AS build
ENV GOPRIVATE=git.example.com/*
RUN git config --global url."ssh://git@git.example.com/".insteadOf "https://git.example.com/"
RUN mkdir -p -m 0700 ~/.ssh && ssh-keyscan git.example.com >> ~/.ssh/known_hosts
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=ssh --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
RUN --mount=type=secret,id=license,target=/run/license,required --mount=type=cache,target=/go/pkg/mod make LICENSE=/run/license
FROM gcr.io/distroless/base
COPY --from=build /src/bin/ /usr/local/bin/
