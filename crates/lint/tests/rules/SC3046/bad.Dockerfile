FROM debian:12
RUN source /etc/profile && make
