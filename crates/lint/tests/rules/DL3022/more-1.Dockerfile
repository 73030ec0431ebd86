FROM a:1 AS x
FROM a:1 AS X
FROM a:1 AS x
COPY --from=x a b
COPY --from=X a /b
COPY --from=0 a /b
COPY --from=2 a /b
COPY --from=3 a /b
COPY --from=nope a /b
COPY --from=a:1 a /b
COPY --from=a/b a /b
COPY --from=x / /
COPY --from=a:1 / /
COPY / /
COPY --from=$x a /b
