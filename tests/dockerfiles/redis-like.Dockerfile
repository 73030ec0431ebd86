FROM debian:bookworm-slim
RUN groupadd -r -g 999 kv && useradd -r -g kv -u 999 kv
ENV KV_VERSION 7.4.1
ENV KV_DOWNLOAD_URL http://download.example/releases/kv-7.4.1.tar.gz
RUN set -eux; \
	\
	apt-get update; \
	apt-get install -y --no-install-recommends ca-certificates wget dpkg-dev gcc libc6-dev make; \
	\
	wget -O kv.tar.gz "$KV_DOWNLOAD_URL"; \
	mkdir -p /usr/src/kv; \
	tar -xzf kv.tar.gz -C /usr/src/kv --strip-components=1; \
# disable protected mode: ports have to be published to be reached at all
	grep -E '^ *createBoolConfig[(]"protected-mode",.*, *1 *,.*[)],$' /usr/src/kv/src/config.c; \
	sed -ri 's!^( *createBoolConfig[(]"protected-mode",.*, *)1( *,.*[)],)$!\10\2!' /usr/src/kv/src/config.c; \
	make -C /usr/src/kv -j "$(nproc)" all; \
	make -C /usr/src/kv install
RUN mkdir /data && chown kv:kv /data
VOLUME /data
WORKDIR /data
COPY docker-entrypoint.sh /usr/local/bin/
ENTRYPOINT ["docker-entrypoint.sh"]
EXPOSE 6379
CMD ["kv-server"]
