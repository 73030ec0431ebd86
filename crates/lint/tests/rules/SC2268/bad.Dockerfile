FROM debian:12
RUN if [ "x$HOME" = "x/root" ]; then make; fi
