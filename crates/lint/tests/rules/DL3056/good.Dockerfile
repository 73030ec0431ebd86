FROM debian:12
LABEL semver="1.2.3"
