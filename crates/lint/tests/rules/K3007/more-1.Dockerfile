FROM debian:13
ENV A=npm_package B=AKIAIOSFODNN7EXAMPL
RUN echo "-----BEGIN CERTIFICATE-----"
RUN echo "-----BEGIN RSA PRIVATE KEY-----" > /key
