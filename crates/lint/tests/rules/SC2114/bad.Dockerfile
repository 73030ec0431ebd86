FROM debian:12
RUN rm -rf /usr /local/share/doc
