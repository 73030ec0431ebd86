FROM debian:12
RUN echo "${HOME:0:2}"
