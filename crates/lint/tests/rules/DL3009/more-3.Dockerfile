FROM debian:12 AS a
RUN apt-get update
FROM debian:12 AS b
RUN apt-get update
FROM b
RUN apt-get update
ONBUILD RUN apt-get update
