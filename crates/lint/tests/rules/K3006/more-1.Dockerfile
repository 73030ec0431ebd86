FROM debian:13 AS a
COPY .env.example .env
FROM debian:13
COPY --from=a /root/.npmrc /root/
ADD keys/id_rsa /root/.ssh/
COPY id_rsa.pub /root/.ssh/
