FROM debian:12
RUN /opt/*/bin/install
