FROM debian:12
SHELL ["/bin/bash", "-c"]
RUN list=(a b); make "${list[@]}"
