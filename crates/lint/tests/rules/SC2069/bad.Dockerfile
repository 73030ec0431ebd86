FROM debian:12
RUN make 2>&1 >/log
