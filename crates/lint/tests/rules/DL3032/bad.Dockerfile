FROM centos:7
RUN yum install -y curl-7.29
