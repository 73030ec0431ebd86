FROM debian:12
RUN if ls /srv/*.txt; then make; fi
