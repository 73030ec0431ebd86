FROM debian:13
COPY a /data/a
COPY b /data/b
RUN rm /data/a
RUN rm -r /data
RUN rm -rf /data
COPY c /data/c
RUN rm -rf /data/
RUN rm -rf /
