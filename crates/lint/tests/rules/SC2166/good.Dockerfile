FROM debian:12
RUN if [ -f /a ] && [ -f /b ]; then make; fi
