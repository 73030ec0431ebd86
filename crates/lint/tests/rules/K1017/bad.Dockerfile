FROM debian:12
RUN apt-key add /key.asc
