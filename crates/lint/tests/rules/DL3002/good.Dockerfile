FROM debian:12
USER root
RUN useradd app
USER 1000
CMD ["/app"]
