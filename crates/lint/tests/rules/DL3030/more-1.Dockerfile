FROM a:1
RUN yum install a
RUN yum install -y a
RUN yum install -y a-1
RUN yum install -y a-1.2-3 && yum clean all
RUN yum clean all && yum install -y a-1
RUN yum install -y a-1 && rm -rf /var/cache/yum/*
RUN yum install -y a-1 && rm -rf /var/cache/yum
RUN yum install -y a-b
RUN yum install -y a-b-1.2.el7.x86_64 && yum clean all
RUN yum install -y x.rpm && yum clean all
RUN yum install -y http://x/y.rpm && yum clean all
RUN yum install -y ${X} && yum clean all
RUN yum install -y a-${X} && yum clean all
ARG X
RUN yum install -y ${X} && yum clean all
RUN yum install -y a-${X} && yum clean all
RUN yum install -y a-$X && yum clean all
RUN yum groupinstall -y a && yum clean all
RUN yum localinstall a && yum clean all
RUN yum update -y
RUN yum module install -y a && yum clean all
RUN yum module install -y a:1 && yum clean all
RUN yum -y module install a:1/x && yum clean all
RUN yum install --assumeyes a-1 && yum clean all
RUN yum -y install "@Development Tools" && yum clean all
RUN dnf install a
RUN dnf install -y a-1
RUN dnf install -y a-1 && dnf clean all
RUN dnf upgrade -y
RUN dnf update -y
RUN microdnf install -y a-1 && microdnf clean all
RUN microdnf install a-1 && dnf clean all
RUN dnf install -y a-1 && rm -rf /var/cache/dnf
RUN dnf install -y a-1 && rm -rf /var/cache/libdnf5
RUN dnf install -y a-1 && rm -rf /var/cache/libdnf5/*
RUN --mount=type=cache,target=/var/cache/libdnf5 dnf install -y a-1
RUN --mount=type=cache,target=/var/cache/dnf dnf install -y a-1
RUN dnf install --nodocs -y --setopt=x=y a-1 && dnf clean all
RUN dnf reinstall a
RUN dnf in a
RUN dnf -y module install a && dnf clean all
RUN dnf module enable a
RUN dnf install -y a-1:2 && dnf clean all
RUN dnf install -y ./a && dnf clean all
RUN dnf install -y a --enablerepo x && dnf clean all
RUN dnf install -y a-1 --enablerepo x && dnf clean all
RUN --mount=type=cache,target=/var/cache/yum yum install -y a-1
RUN tdnf install a
