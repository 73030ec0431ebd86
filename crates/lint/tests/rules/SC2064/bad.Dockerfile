FROM debian:12
RUN dir=$(mktemp -d); trap "rm -r $dir" EXIT; make
