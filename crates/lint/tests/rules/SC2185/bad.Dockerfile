FROM debian:12
RUN find -name '*.tmp' -delete
