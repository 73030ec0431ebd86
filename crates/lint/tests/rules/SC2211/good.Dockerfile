FROM debian:12
RUN /opt/app/bin/install
