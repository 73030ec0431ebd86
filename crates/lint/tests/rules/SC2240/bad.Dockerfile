FROM debian:12
RUN . /etc/profile.d/env.sh production
