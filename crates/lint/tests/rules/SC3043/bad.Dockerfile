FROM debian:12
RUN build() { local dir=$1; make -C "$dir"; }; build /src
