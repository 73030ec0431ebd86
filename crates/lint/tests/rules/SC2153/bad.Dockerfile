FROM debian:12
RUN version=$(cat /version); make "V=$VERSION" "W=$version"
