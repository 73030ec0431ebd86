FROM debian:12
RUN echo "built on $(uname -m) by me"
