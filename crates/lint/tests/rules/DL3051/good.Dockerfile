FROM debian:12
LABEL version=1
