FROM scratch
ADD rootfs.tar.xz /
RUN apk add a
CMD serve
FROM scratch
COPY busybox /bin/sh
COPY app /app
CMD /app
FROM scratch
RUN true
