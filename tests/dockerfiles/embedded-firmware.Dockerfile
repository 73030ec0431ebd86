FROM ubuntu:22.04 AS toolchain
ARG GCC_ARM=13.2.rel1
RUN apt-get update && apt-get install -y wget xz-utils && rm -rf /var/lib/apt/lists/*
RUN wget -qO- https://toolchains.example/arm-${GCC_ARM}.tar.xz | tar -xJ -C /opt
ENV PATH="/opt/arm-${GCC_ARM}/bin:${PATH}"
FROM toolchain AS firmware
ARG BOARD=nrf52840
COPY . /fw
WORKDIR /fw
RUN make BOARD="${BOARD:?no board}" OUT=/out/${BOARD//_/-}
FROM scratch AS artifacts
COPY --from=firmware /out /
