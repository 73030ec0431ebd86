FROM debian:12
RUN pip install requests[tests]
