FROM alpine:edge AS build
RUN apk add zig
WORKDIR /w
COPY build.zig build.zig.zon ./
COPY src src
RUN zig build -Doptimize=ReleaseSmall -Dtarget=x86_64-linux-musl --prefix /out
FROM scratch
COPY --from=build /out/bin/ /
ENTRYPOINT [ "/main" ]
