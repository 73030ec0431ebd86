FROM debian:12
RUN list=(a b); make
