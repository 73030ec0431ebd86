FROM debian:12
RUN if [ -f /a -a -f /b ]; then make; fi
