# syntax=docker/dockerfile:1
ARG BASE_IMAGE=alpine:3.19.1
ARG JS_IMAGE=node:20-alpine
ARG JS_PLATFORM=linux/amd64
ARG GO_IMAGE=golang:1.22.4-alpine
ARG GO_SRC=go-builder
ARG JS_SRC=js-builder

FROM --platform=${JS_PLATFORM} ${JS_IMAGE} as js-builder
ENV NODE_OPTIONS=--max_old_space_size=8000
WORKDIR /tmp/dash
COPY package.json project.json nx.json yarn.lock .yarnrc.yml ./
COPY .yarn .yarn
COPY packages packages
RUN apk add --no-cache make build-base python3
RUN yarn install --immutable
ENV NODE_ENV production
RUN yarn build

FROM ${GO_IMAGE} as go-builder
ARG COMMIT_SHA=""
ARG BUILD_BRANCH=""
ARG GO_BUILD_TAGS="oss"
RUN if grep -i -q alpine /etc/issue; then apk add --no-cache bash gcc g++ make git; fi
WORKDIR /tmp/dash
COPY go.* ./
RUN go mod download
COPY embed.go Makefile build.go package.json ./
COPY pkg pkg
ENV COMMIT_SHA=${COMMIT_SHA}
RUN make build-go GO_BUILD_TAGS=${GO_BUILD_TAGS}

FROM ${GO_SRC} as go-src
FROM ${JS_SRC} as js-src

FROM ${BASE_IMAGE}
ARG GF_UID="472"
ARG GF_GID="0"
ENV PATH="/usr/share/dash/bin:$PATH" \
    GF_PATHS_HOME="/usr/share/dash"
WORKDIR $GF_PATHS_HOME
COPY --from=go-src /tmp/dash/conf ./conf
COPY --from=go-src /tmp/dash/bin/dash* /tmp/dash/bin/*/dash* ./bin/
COPY --from=js-src /tmp/dash/public ./public
EXPOSE 3000
ARG RUN_SH=./packaging/docker/run.sh
COPY ${RUN_SH} /run.sh
USER "$GF_UID"
ENTRYPOINT [ "/run.sh" ]
