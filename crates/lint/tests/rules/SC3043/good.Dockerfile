FROM debian:12
RUN build() { make -C "$1"; }; build /src
