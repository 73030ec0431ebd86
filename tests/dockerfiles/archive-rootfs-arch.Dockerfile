FROM scratch
ARG TARGETARCH
ADD alpine-minirootfs-3.20.3-${TARGETARCH}.tar.gz /
CMD ["/bin/sh"]
