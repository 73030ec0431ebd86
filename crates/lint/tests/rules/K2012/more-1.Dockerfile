FROM debian:13
RUN rm -rf /tmp/*
RUN make
RUN rm -rf /tmp/* /root/.cache
RUN rm -rf /src
RUN --mount=type=cache,target=/root/.cache rm -rf /root/.cache/a
RUN true
RUN set -e; :
