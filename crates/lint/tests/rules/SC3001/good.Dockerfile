FROM debian:12
SHELL ["/bin/bash", "-c"]
RUN diff <(sort /a) /b
