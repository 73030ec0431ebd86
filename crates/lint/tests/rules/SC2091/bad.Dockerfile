FROM debian:12
RUN if $(test -f /a); then make; fi
