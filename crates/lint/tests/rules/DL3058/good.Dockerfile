FROM debian:12
LABEL email="me@example.com"
