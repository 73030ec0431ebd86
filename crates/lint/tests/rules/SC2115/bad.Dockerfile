FROM debian:12
RUN dir=$(mktemp -d) && rm -rf "$dir/"*
