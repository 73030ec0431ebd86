FROM debian:12
RUN if ! make; then cat /log; fi
