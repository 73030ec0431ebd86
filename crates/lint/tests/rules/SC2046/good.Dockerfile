FROM debian:12
RUN rm "$(cat /list)"
