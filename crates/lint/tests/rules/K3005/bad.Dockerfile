FROM debian:12
ARG TOKEN
RUN git clone https://$TOKEN@example.com/private.git
