FROM alpine:3.20
ARG TERRAFORM=1.9.7 KUBECTL=1.31.1 HELM=3.16.1
RUN set -eo pipefail \
 && apk add --no-cache bash ca-certificates curl jq \
 && for tool in "terraform/${TERRAFORM}" "kubectl/v${KUBECTL}" "helm/v${HELM}"; do \
      curl -fsSL "https://tools.example/${tool%/*}/${tool#*/}" -o "/usr/local/bin/${tool%%/*}"; \
      chmod +x "/usr/local/bin/${tool%%/*}"; \
    done
ENTRYPOINT ["/bin/bash", "-c"]
