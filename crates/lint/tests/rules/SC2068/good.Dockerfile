FROM debian:12
RUN set -- 'a b'; touch "$@"
