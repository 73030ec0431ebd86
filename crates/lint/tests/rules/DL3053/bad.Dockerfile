FROM debian:12
LABEL created="yesterday"
