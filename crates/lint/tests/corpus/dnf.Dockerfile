FROM fedora:38
RUN dnf -y install dnf-plugins-core && dnf config-manager --add-repo https://example.com/x.repo
RUN dnf install -y --setopt=install_weak_deps=False nginx-1.24.0 && dnf clean all && rm -rf /var/cache/dnf
RUN dnf upgrade --refresh -y
RUN dnf -y module install nodejs:18/common && dnf clean all
RUN dnf5 install -y x
