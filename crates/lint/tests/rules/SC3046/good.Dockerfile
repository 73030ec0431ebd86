FROM debian:12
RUN . /etc/profile && make
