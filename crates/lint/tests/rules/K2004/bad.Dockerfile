FROM debian:12 AS build
RUN make
FROM debian:12
RUN apt-get update && apt-get install -y --no-install-recommends gcc && rm -rf /var/lib/apt/lists/*
COPY --from=build /app /app
RUN apk add --no-cache nodejs npm
