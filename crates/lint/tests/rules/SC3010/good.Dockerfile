FROM debian:12
RUN if [ -f /etc/motd ]; then cat /etc/motd; fi
