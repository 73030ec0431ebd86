FROM debian:12
LABEL commit="4f2a9c1"
