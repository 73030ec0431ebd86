FROM ubuntu:22.04 as build-base
ARG BUILDKIT_SBOM_SCAN_STAGE=true
RUN apt-get update && apt-get install --yes --no-install-recommends build-essential ca-certificates gnupg libncurses5-dev wget

FROM build-base as openssl-builder
ENV OPENSSL_VERSION 3.1.7
ENV OPENSSL_SOURCE_SHA256="053a31fa80cf4aebe1068c987d2ef1e44ce418881427c4464751ae800c31d06c"
RUN set -eux; \
	OPENSSL_SOURCE_URL="https://releases.example/openssl-$OPENSSL_VERSION.tar.gz"; \
	wget --progress dot:giga --output-document "/usr/local/src/openssl.tar.gz" "$OPENSSL_SOURCE_URL"

FROM openssl-builder as erlang-builder
ENV OTP_VERSION 26.2.5.3
RUN set -eux; echo "OTP $OTP_VERSION"

FROM ubuntu:22.04
ENV BROKER_DATA_DIR=/var/lib/broker
RUN set -eux; \
	groupadd --gid 999 --system broker; \
	useradd --uid 999 --system --home-dir "$BROKER_DATA_DIR" --gid broker broker
COPY --from=erlang-builder /opt/erlang /opt/erlang
COPY --from=openssl-builder /opt/openssl /opt/openssl
ENV PATH=/opt/erlang/bin:/opt/openssl/bin:$PATH
VOLUME $BROKER_DATA_DIR
ENV LANG=C.UTF-8 LANGUAGE=C.UTF-8 LC_ALL=C.UTF-8
COPY --chown=broker:broker 10-defaults.conf 20-management_agent.disable_metrics_collector.conf /etc/broker/conf.d/
EXPOSE 4369 5671 5672 15691 15692 25672
CMD ["broker-server"]
