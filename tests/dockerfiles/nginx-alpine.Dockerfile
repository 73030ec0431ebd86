FROM alpine:3.20

LABEL org.opencontainers.image.title="web server" \
      org.opencontainers.image.licenses="BSD-2-Clause"

ENV SERVER_VERSION=1.27.2 \
    MODULE_VERSION=0.8.6

RUN set -x \
# a user of its own, before packages make one
    && addgroup -g 101 -S www \
    && adduser -S -D -H -u 101 -h /var/cache/www -s /sbin/nologin -G www -g www www \
    && apkArch="$(cat /etc/apk/arch)" \
    && packages=" \
        server=${SERVER_VERSION}-r1 \
        server-module-js=${SERVER_VERSION}.${MODULE_VERSION}-r1 \
    " \
    && case "$apkArch" in \
        x86_64|aarch64) \
            apk add -X "https://packages.example/$(egrep -o '^[0-9]+\.[0-9]+' /etc/alpine-release)/main" --no-cache $packages \
            ;; \
        *) \
# no packages for other processors: from source
            tempDir="$(mktemp -d)" \
            && chown nobody:nobody $tempDir \
            && su nobody -s /bin/sh -c " \
                cd ${tempDir} \
                && wget -q https://packages.example/src/${SERVER_VERSION}.tar.gz \
                && tar xzf ${SERVER_VERSION}.tar.gz \
                " \
            && rm -rf "$tempDir" \
            ;; \
    esac \
    && ln -sf /dev/stdout /var/log/access.log \
    && ln -sf /dev/stderr /var/log/error.log

COPY docker-entrypoint.sh /
COPY 10-listen-on-ipv6.sh 20-envsubst.sh /docker-entrypoint.d/
ENTRYPOINT ["/docker-entrypoint.sh"]

EXPOSE 80

STOPSIGNAL SIGQUIT

CMD ["server", "-g", "daemon off;"]
