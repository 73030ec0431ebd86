FROM debian:12
RUN VERSION= 12 make
