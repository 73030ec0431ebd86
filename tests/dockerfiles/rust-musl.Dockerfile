FROM rust:alpine AS build
RUN apk add --no-cache musl-dev
WORKDIR /w
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/w/target,id=target-$TARGETPLATFORM <<EOF
set -e
cargo build --release --locked
cp target/release/tool /tool
EOF

FROM scratch
COPY --from=build /tool /
ENTRYPOINT ["/tool"]
