FROM debian:12
RUN pushd /src && make && popd
