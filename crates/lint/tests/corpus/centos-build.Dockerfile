FROM centos:7
RUN yum -y update && yum install -y epel-release
RUN yum groupinstall -y "Development Tools" \
 && yum install -y cmake3 openssl-devel-1.0.2k wget \
 && yum clean all
RUN yum install -y https://example.com/repo.rpm
RUN cd /tmp && wget -q https://example.com/src.tar.gz && tar xf src.tar.gz && cd src && ./configure && make -j$(nproc) && make install
RUN ln -sf /usr/share/zoneinfo/UTC /etc/localtime
RUN ln -sf /bin/bash /bin/sh
CMD /usr/local/bin/server --config /etc/server.conf
