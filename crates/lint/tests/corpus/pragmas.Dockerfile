# hadolint global ignore=DL3018
FROM alpine:3.15
# hadolint ignore=DL3019,DL3059
RUN apk add curl
RUN apk add bash
# a comment
# hadolint ignore=DL3003
RUN cd /tmp && ls
# hadolint shell=/bin/bash
RUN cd /tmp | cat
