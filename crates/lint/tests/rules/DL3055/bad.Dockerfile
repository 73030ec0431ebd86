FROM debian:12
LABEL commit="main"
