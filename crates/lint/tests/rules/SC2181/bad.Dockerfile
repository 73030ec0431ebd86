FROM debian:12
RUN make; if [ $? -ne 0 ]; then cat /log; fi
