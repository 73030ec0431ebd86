FROM debian:12
ARG TARGETARCH
RUN if [ "$TARGETARCH" = amd64 ]; then make; fi
