FROM debian:bookworm AS toolchain
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends \
      cmake g++ ninja-build ccache \
 && rm -rf /var/lib/apt/lists/*
ENV CCACHE_DIR=/ccache
FROM toolchain AS build
ARG CMAKE_BUILD_TYPE=Release
RUN --mount=type=bind,source=.,target=/src \
    --mount=type=cache,target=/ccache \
    cmake -S /src -B /build -G Ninja -DCMAKE_BUILD_TYPE=${CMAKE_BUILD_TYPE} -DCMAKE_CXX_COMPILER_LAUNCHER=ccache \
 && cmake --build /build && cmake --install /build --prefix /out --strip
FROM build AS test
RUN ctest --test-dir /build --output-on-failure
FROM gcr.io/distroless/cc-debian12 AS runtime
COPY --from=build /out /usr/local
CMD ["/usr/local/bin/program"]
