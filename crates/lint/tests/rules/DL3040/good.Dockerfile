FROM fedora:40
RUN dnf install -y curl-8.6 && dnf clean all
