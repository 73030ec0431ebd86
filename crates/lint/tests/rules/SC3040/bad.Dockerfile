FROM debian:12
RUN set -o pipefail; make | tee /log
