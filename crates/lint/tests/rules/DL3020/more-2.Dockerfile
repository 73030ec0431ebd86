FROM a:1
COPY a bb
COPY a .
COPY a ./
COPY a "bb"
COPY a "/b"
COPY a $b
COPY a C:/b
WORKDIR /x
COPY a bb
FROM a:1 AS q
WORKDIR /z
FROM q
COPY a bb
FROM a:1
WORKDIR zz
COPY a bb
FROM a:1
ONBUILD COPY a bb
ADD a bb
COPY ["a","bb"]
COPY --from=q a bb
COPY a ${b}
COPY a "$b"
FROM a:1
ONBUILD WORKDIR /x
COPY a bb
