FROM debian:12
COPY app /app
RUN chown -R 1000:1000 /app
