FROM debian:12 AS build
RUN apt-get update && apt-get install -y curl git && rm -rf /var/lib/apt/lists/*
FROM debian:12
RUN apt-get update && apt-get install -y curl git && rm -rf /var/lib/apt/lists/*
COPY --from=build /app /app
