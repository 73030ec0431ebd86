FROM debian:12
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN cat x | grep y
SHELL ["/bin/sh", "-eu", "-c"]
RUN cat x | grep y
RUN set -o pipefail && cat x | grep y
RUN bash -o pipefail -c "cat x | grep y"
SHELL ["/bin/bash", "-euxo", "pipefail", "-c"]
RUN cat x | grep y
FROM alpine:3
RUN cat x | grep y
SHELL ["/bin/ash", "-eo", "pipefail", "-c"]
RUN cat x | grep y || true
