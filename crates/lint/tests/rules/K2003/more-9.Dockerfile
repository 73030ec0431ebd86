# hadolint global ignore=DL3001,DL3002,DL3003,DL3006,DL3007,DL3008,DL3009,DL3010,DL3015,DL3020,DL3045,DL3059,DL3064,DL3066
FROM debian:13
COPY a /data/a
COPY b /data/b
RUN rm /data/a
RUN rm -r /data
RUN rm -rf /data
COPY c /data/c
RUN rm -rf /data/
RUN rm -rf /
