FROM debian:12
RUN echo "$HOME" | cat
