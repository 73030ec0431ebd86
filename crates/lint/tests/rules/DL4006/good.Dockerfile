FROM debian:12
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN curl https://example.com/a | tar -x
