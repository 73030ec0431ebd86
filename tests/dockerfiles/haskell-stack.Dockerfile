FROM fpco/stack-build:lts-22 AS dependencies
RUN mkdir /opt/build
WORKDIR /opt/build
COPY stack.yaml package.yaml stack.yaml.lock /opt/build/
RUN --mount=type=cache,target=/root/.stack stack build --system-ghc --dependencies-only
FROM dependencies AS build
COPY . /opt/build/
RUN --mount=type=cache,target=/root/.stack stack build --system-ghc && \
    mv "$(stack path --local-install-root --system-ghc)/bin" /opt/build/bin
FROM ubuntu:22.04
RUN mkdir -p /opt/app
WORKDIR /opt/app
COPY --from=build /opt/build/bin .
CMD ["/opt/app/exe", "serve"]
