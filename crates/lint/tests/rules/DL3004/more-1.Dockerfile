FROM debian:12
# hadolint stage ignore=DL3003
RUN cd /x
RUN cd /y; sudo x
FROM debian:12
RUN cd /x
