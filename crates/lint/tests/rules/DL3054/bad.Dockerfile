FROM debian:12
LABEL licence="mine"
