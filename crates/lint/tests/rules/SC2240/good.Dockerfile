FROM debian:12
RUN set -- production && . /etc/profile.d/env.sh
