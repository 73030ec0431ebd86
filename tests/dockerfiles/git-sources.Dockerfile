# syntax=docker/dockerfile:1
FROM alpine AS tools
ADD --keep-git-dir=true https://git.example/project/tool.git#v1.2.3 /src/tool
ADD --chown=1000:1000 git@git.example:project/other.git#main:sub/dir /src/other
RUN apk add make && make -C /src/tool
FROM alpine
COPY --from=tools /src/tool/bin /usr/local/bin
