FROM debian:12
RUN printf %s $'a\n'
