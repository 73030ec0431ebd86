FROM debian:12
LABEL colour=red
