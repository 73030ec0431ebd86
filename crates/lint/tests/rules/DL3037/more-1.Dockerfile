FROM a:1
RUN zypper install a
RUN zypper install -y a
RUN zypper in -y a=1 && zypper clean
RUN zypper --non-interactive in a=1 && zypper cc
RUN zypper -n in a=1 && zypper clean -a
RUN zypper in --no-confirm "a>=1" && zypper clean
RUN zypper in -y a.rpm && zypper clean
RUN zypper rm a
RUN zypper patch
RUN zypper dup
RUN zypper dist-upgrade -y
RUN zypper clean && zypper in -y a=1
RUN --mount=type=cache,target=/var/cache/zypp zypper in -y a=1
RUN zypper update
RUN zypper remove -y a
RUN zypper in -y "a<1" && zypper clean --all
RUN zypper si a
RUN zypper source-install -y a
