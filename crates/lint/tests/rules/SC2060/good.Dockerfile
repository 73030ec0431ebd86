FROM debian:12
RUN tr -d '[:space:]' < /in > /out
