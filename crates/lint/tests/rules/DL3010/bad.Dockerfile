FROM debian:12
COPY app.tar.gz /tmp/
RUN tar -xf /tmp/app.tar.gz -C /opt
