FROM debian:12
MAINTAINER me@example.com
