FROM debian:12
RUN sort < /list | uniq > /new && mv /new /list
