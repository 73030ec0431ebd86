FROM a:1
RUN apk add a
RUN apk add --no-cache a
RUN apk --no-cache add a=1
RUN apk add --no-cache a~1
RUN apk add --no-cache "a>1"
RUN apk add --no-cache a@x
RUN apk add --no-cache x.apk
RUN apk add --no-cache -t x a=1
RUN apk add --no-cache --repository x a=1
RUN apk add --no-cache -X x a=1
RUN apk add -U a=1
RUN apk add --update a=1
RUN apk update && apk add a=1 && rm -rf /var/cache/apk/*
RUN --mount=type=cache,target=/var/cache/apk apk add a=1
RUN --mount=type=cache,target=/var/cache apk add a=1
RUN --mount=type=cache,target=/etc/apk/cache apk add a=1
RUN apk del a
RUN apk add --no-cache $x
RUN --mount=type=cache,target=/var/cache/apk/ apk add a=1
RUN --mount=type=cache,dst=/var/cache/apk apk add a=1
RUN --mount=type=bind,target=/var/cache/apk apk add a=1
RUN --mount=type=tmpfs,target=/var/cache/apk apk add a=1
