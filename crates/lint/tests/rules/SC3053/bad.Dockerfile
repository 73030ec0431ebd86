FROM debian:12
RUN name=HOME; echo "${!name}"
