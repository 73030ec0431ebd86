RUN x
LABEL a=b
ARG x
FROM debian:12
