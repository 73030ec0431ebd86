FROM debian:12
RUN set -- a 'b c'; for each in "$@"; do touch "$each"; done
