FROM debian:12
RUN apk add --no-cache --virtual=.deps curl
RUN apk add --no-cache --virtual .deps curl
RUN apt-get install -y --no-install-recommends $(cat x)
RUN apt-get install -y --no-install-recommends $PK
RUN apt-get install -y --no-install-recommends ${PK}=1
RUN apt-get install -y --no-install-recommends "a=$(cat x)"
RUN apt-get install -y --no-install-recommends a=1 \
# hi
    b
RUN apt-get install -y --no-install-recommends
