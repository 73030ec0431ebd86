FROM debian:12
ENV HOME_OF=/app BIN=$HOME_OF/bin
