FROM debian:12
RUN git rev-parse 'HEAD@{0}'
