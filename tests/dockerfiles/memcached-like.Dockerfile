FROM alpine:3.20
RUN adduser -D memcache
RUN apk add --no-cache libsasl
ENV MEMCACHED_VERSION 1.6.31
RUN set -x \
	&& apk add --no-cache --virtual .build-deps coreutils gcc libc-dev libevent-dev make \
	&& cd /tmp && enableExtstore="$( \
# extstore does not work everywhere
		case "$(apk --print-arch)" in s390x) ;; *) echo '--enable-extstore' ;; esac \
	)" \
	&& ./configure --build="$(uname -m)" $enableExtstore \
	&& make -j "$(nproc)" && make install
COPY docker-entrypoint.sh /usr/local/bin/
RUN ln -s usr/local/bin/docker-entrypoint.sh /entrypoint.sh # backwards compat
ENTRYPOINT ["docker-entrypoint.sh"]
USER memcache
EXPOSE 11211
CMD ["memcached"]
