ARG UBUNTU=22.04
FROM ubuntu:${UBUNTU} AS bazel
RUN --mount=type=cache,target=/var/cache/apt,sharing=locked \
    --mount=type=cache,target=/var/lib/apt,sharing=locked \
    rm -f /etc/apt/apt.conf.d/docker-clean && apt-get update && apt-get --no-install-recommends install -y g++ python3
COPY --from=bazelbuild/bazelisk:latest /bazelisk /usr/local/bin/bazel
FROM bazel AS build
ARG TARGETS="//services/..."
ARG REMOTE_CACHE
WORKDIR /repo
COPY . .
RUN --mount=type=cache,target=/root/.cache/bazel,id=bazel-${TARGETARCH} \
    --mount=type=tmpfs,target=/tmp,size=2g \
    bazel build ${REMOTE_CACHE:+--remote_cache=$REMOTE_CACHE} -- $TARGETS && cp -rL bazel-bin/services /out
FROM gcr.io/distroless/cc-debian12 AS api
COPY --from=build /out/api/api /api
ENTRYPOINT ["/api"]
FROM gcr.io/distroless/cc-debian12 AS worker
COPY --from=build /out/worker/worker /worker
ENTRYPOINT ["/worker"]
