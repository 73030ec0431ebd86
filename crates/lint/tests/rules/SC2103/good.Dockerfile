FROM debian:12
RUN for dir in a b; do (cd "$dir" && make) || exit; done
