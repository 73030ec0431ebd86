FROM debian:12
RUN if [ TARGETARCH = amd64 ]; then make; fi
