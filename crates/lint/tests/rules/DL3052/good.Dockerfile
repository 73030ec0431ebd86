FROM debian:12
LABEL url="https://example.com"
