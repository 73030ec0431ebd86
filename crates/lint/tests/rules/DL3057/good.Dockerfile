FROM debian:12
HEALTHCHECK CMD ["/app", "--check"]
CMD ["/app"]
