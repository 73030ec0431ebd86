FROM debian:12
ENV PATH=/opt/app/bin:$PATH
