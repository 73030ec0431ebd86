FROM alpine:3.20
RUN apk add --no-cache postfix dovecot rspamd supervisor
COPY rootfs/ /
EXPOSE 25 143 465 587 993 4190 11334-11335
VOLUME ["/var/mail", "/var/lib/dovecot"]
STOPSIGNAL 15
HEALTHCHECK --start-period=1m --start-interval=5s \
  CMD postfix status && doveadm service status >/dev/null || exit 1
CMD ["/usr/bin/supervisord", "-c", "/etc/supervisord.conf"]
