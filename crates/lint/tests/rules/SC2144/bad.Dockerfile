FROM debian:12
RUN if [ -f /srv/*.txt ]; then make; fi
