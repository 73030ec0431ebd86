FROM debian:12
RUN if [ "$HOME" = /root ]; then make; fi
