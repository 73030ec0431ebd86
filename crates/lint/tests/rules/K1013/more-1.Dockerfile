FROM debian:13
RUN apt-get update && apt-get upgrade -y
RUN apt-get update
RUN apt-get update && apt-get install -y a
