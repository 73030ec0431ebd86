FROM scratch
COPY escape /
