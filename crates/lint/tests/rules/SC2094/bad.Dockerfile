FROM debian:12
RUN sort < /list | uniq > /list
