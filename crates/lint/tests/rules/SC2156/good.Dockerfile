FROM debian:12
RUN find /srv -name '*.txt' -exec sh -c 'sort < "$1"' sh {} \;
