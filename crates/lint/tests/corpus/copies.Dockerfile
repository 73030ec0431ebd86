FROM debian:12 AS one
FROM debian:12 AS two
COPY --from=one /etc/passwd /etc/
COPY --from=0 /a /b
COPY --from=nginx /x /y
COPY --from=nginx:1.25 /x /y
COPY --from=three /x /y
COPY --from=two /x /y
COPY --chown=1:1 a b c
COPY --chmod=644 a b c/
COPY a.txt .
COPY a.txt ./
COPY ["a b", "c d", "/e f"]
COPY * /x
WORKDIR /w
COPY a.txt rel
ADD https://example.com/a /a
ADD a.tar.xz b.txt /x/
ADD --chown=a:b x.tgz /x/
