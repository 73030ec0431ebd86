FROM busybox:1.35 AS a
RUN for n in $(seq 300); do seq $n 1000 > /a$n; done
FROM busybox:1.35 AS b
RUN seq 300000 > /b
FROM busybox:1.35
COPY context-file /large
COPY --from=a /a1* /a/
COPY --from=b /b /b
RUN mkdir /d && for n in $(seq 100); do echo $n > /d/$n; done
