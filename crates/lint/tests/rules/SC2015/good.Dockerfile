FROM debian:12
RUN if test -f /a; then cp /a /b; else touch /b; fi
