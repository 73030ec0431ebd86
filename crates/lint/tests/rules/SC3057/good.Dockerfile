FROM debian:12
RUN echo "$HOME" | cut -c 1-2
