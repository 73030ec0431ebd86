FROM debian:12 AS base
RUN apt-get update && apt-get install -y curl git && rm -rf /var/lib/apt/lists/*
FROM base AS build
RUN make
FROM base
COPY --from=build /app /app
