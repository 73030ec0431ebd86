FROM debian:12
RUN test -f /a && cp /a /b || touch /b
