FROM debian:12
SHELL ["/bin/bash", "-c"]
RUN set -o pipefail; make | tee /log
