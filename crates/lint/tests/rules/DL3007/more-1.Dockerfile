FROM a AS b
FROM b
FROM B
FROM $x
FROM ${x}
FROM scratch
FROM a@sha256:aaaa
FROM x:$y
FROM x${y}
FROM localhost:5000/x
FROM x:latest AS latest
FROM x:latest@sha256:abc
FROM "x"
FROM --platform=linux/amd64 x:1
FROM --platform=$BUILDPLATFORM x:1
FROM --platform=$TARGETPLATFORM x:1
FROM --platform=${TARGETPLATFORM} x:1
FROM --platform=linux/$TARGETARCH x:1
FROM --platform=${TARGETPLATFORM:-linux/amd64} x:1
FROM a:1 AS scratch
FROM a:1 AS context
FROM a:1 AS Scratch
