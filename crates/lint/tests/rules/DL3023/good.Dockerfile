FROM debian:12 AS build
RUN cp /a /b
