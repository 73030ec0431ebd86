FROM debian:12
RUN diff <(sort /a) /b
