FROM debian:12
RUN --mount=target=/tmp/setup.sh,source=setup.sh /tmp/setup.sh
