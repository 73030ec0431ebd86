FROM debian:12
COPY rootfs.tar.gz /
RUN tar -C / -xzf /rootfs.tar.gz && rm /rootfs.tar.gz
COPY data.zip tools.tar.bz2 /opt/
RUN unzip /opt/data.zip -d /data && tar --extract --file=/opt/tools.tar.bz2
RUN tar -xf /opt/tools.tar.bz2 && service x restart && ps aux && kill 1
RUN useradd -l -u 999999999 big && useradd -u 1234567 bigger
