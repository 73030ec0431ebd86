FROM debian:12
RUN version=$(cat /version); make "V=$version" "W=$version"
