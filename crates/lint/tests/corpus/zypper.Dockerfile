FROM opensuse/leap:15.4
RUN zypper refresh && zypper --non-interactive install --no-recommends git vim=8 && zypper clean --all
RUN zypper in gcc
RUN zypper -n dup
