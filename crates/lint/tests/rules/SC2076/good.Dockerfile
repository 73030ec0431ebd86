FROM debian:12
SHELL ["/bin/bash", "-c"]
RUN [[ $(uname -m) =~ arm.* ]] && make
