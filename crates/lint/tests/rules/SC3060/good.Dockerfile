FROM debian:12
RUN echo "$HOME" | sed s/root/user/
