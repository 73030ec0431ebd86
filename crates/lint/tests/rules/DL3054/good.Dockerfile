FROM debian:12
LABEL licence="Apache-2.0"
