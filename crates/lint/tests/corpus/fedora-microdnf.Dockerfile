FROM registry.example.com/ubi8/ubi-minimal:8.6
RUN microdnf update -y && microdnf install -y java-11-openjdk-headless tar gzip shadow-utils && microdnf clean all
RUN microdnf install nodejs
USER 1001
