FROM debian:12
LABEL semver="v1"
