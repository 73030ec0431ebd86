FROM a:1 AS b
USER root
FROM b
RUN x
