FROM debian:12 AS kernel
ARG KERNEL=6.6.53
ADD --checksum=sha256:0000000000000000000000000000000000000000000000000000000000000000 \
    https://kernel.example/pub/linux/kernel/v6.x/linux-${KERNEL}.tar.xz /src/
RUN apt-get update && apt-get install -y bc bison build-essential flex libelf-dev libssl-dev xz-utils
WORKDIR /src
RUN tar xf linux-${KERNEL}.tar.xz && cd linux-$KERNEL && make defconfig && make -j$(nproc) bzImage
FROM scratch
COPY --from=kernel /src/linux-*/arch/x86/boot/bzImage /
