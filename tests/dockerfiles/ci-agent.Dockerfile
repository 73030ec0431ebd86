FROM ubuntu:24.04
ENV DEBIAN_FRONTEND=noninteractive
RUN apt-get update && \
    apt-get install -y --no-install-recommends \
        ca-certificates \

        curl \
        # the runner needs this
        git \
        jq && \
    rm -rf /var/lib/apt/lists/*
ARG RUNNER_VERSION=2.319.1
WORKDIR /home/runner
RUN useradd -m -u 1001 runner && usermod -aG sudo runner \
 && echo '%sudo ALL=(ALL) NOPASSWD:ALL' > /etc/sudoers.d/90-runner
RUN curl -fLo runner.tgz "https://releases.example/v${RUNNER_VERSION}/runner-linux-${TARGETARCH:-x64}.tgz" && tar xzf ./runner.tgz
USER runner
ENTRYPOINT ["./run.sh"]
