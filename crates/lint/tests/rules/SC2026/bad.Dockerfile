FROM debian:12
RUN alias ll='ls 'a''
