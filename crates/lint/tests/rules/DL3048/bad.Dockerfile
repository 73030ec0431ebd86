FROM debian:12
LABEL Version=1
