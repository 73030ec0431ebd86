# syntax=docker/dockerfile:1.7-labs
FROM golang:1.23-alpine AS base
WORKDIR /src

FROM base AS version
RUN --mount=target=. <<'EOT'
  pkg=example.com/builder
  version=$(git describe --match 'v[0-9]*' --dirty='.m' --always --tags)
  echo "-X ${pkg}/version.Version=${version}" | tee /tmp/.ldflags
  echo -n "${version}" | tee /tmp/.version
EOT

FROM base AS build
ARG TARGETPLATFORM
RUN --mount=target=. --mount=target=/root/.cache,type=cache \
  --mount=target=/go/pkg/mod,type=cache \
  --mount=source=/tmp/.ldflags,target=/tmp/.ldflags,from=version \
  CGO_ENABLED=0 go build -ldflags "$(cat /tmp/.ldflags) -extldflags '-static'" -tags "osusergo netgo" -o /usr/bin/builder ./cmd/builder

FROM scratch AS binaries-linux
COPY --link --from=build /usr/bin/builder /builder
FROM binaries-linux AS binaries-darwin
FROM binaries-$TARGETOS AS binaries

FROM base AS test
RUN --mount=target=. --mount=target=/root/.cache,type=cache go test -v -coverprofile=/tmp/coverage.txt ./...
FROM scratch AS test-coverage
COPY --from=test /tmp/coverage.txt /coverage.txt

FROM binaries
