FROM debian:12 AS a
RUN groupadd -r app && useradd -r -g app app
USER app:app
FROM a AS b
USER 0
RUN apt-get -y update
USER app
FROM b
USER root:root
FROM debian:12
ARG UID=1000
USER ${UID}
FROM debian:12
USER "app"
