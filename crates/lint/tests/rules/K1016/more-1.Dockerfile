FROM scratch
ENV PATH=/app
FROM debian:13
ENV PATH=/opt/bin:/usr/local/bin:/usr/bin:/bin
ENV PATH="/opt/bin:${PATH}"
ENV PATH /opt/bin
