FROM debian:12
RUN printf "$HOME\n"
