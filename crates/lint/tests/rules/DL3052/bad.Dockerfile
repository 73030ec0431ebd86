FROM debian:12
LABEL url="not one"
