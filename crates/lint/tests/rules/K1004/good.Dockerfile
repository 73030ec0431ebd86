FROM debian:12 AS build
RUN make
FROM debian:12
COPY --from=build /app /app
