FROM debian:12
RUN echo 'the path is $PATH'
