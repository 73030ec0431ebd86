ARG ARCH="amd64"
ARG OS="linux"
FROM quay.io/prometheus/busybox-${OS}-${ARCH}:latest
LABEL maintainer="The Authors <authors@example.org>"

ARG ARCH="amd64"
ARG OS="linux"
COPY .build/${OS}-${ARCH}/monitor        /bin/monitor
COPY .build/${OS}-${ARCH}/tool           /bin/tool
COPY documentation/examples/monitor.yml  /etc/monitor/monitor.yml
COPY LICENSE                             /LICENSE

WORKDIR /monitor
RUN chown -R nobody:nobody /etc/monitor /monitor && chmod g+w /monitor

USER       nobody
EXPOSE     9090
VOLUME     [ "/monitor" ]
ENTRYPOINT [ "/bin/monitor" ]
CMD        [ "--config.file=/etc/monitor/monitor.yml", \
             "--storage.path=/monitor" ]
