FROM debian:12
RUN --mount=type=cache,target=/var/lib/apt --mount=type=cache,target=/var/cache/apt apt-get update
RUN --mount=type=cache,target=/var/lib/apt/lists apt-get update
RUN --mount=type=cache,target=/var/lib/apt apt-get update
RUN rm /etc/apt/apt.conf.d/docker-clean
RUN apt-get update
RUN rm -rf /var/lib/apt/lists/*
