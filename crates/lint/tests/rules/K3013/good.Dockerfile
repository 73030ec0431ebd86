FROM debian:12
RUN useradd --system --no-log-init app
USER app
