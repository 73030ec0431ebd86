FROM debian:12 AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc && rm -rf /var/lib/apt/lists/*
RUN make
FROM debian:12
COPY --from=build /app /app
