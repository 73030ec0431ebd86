FROM debian:12
RUN echo a | sudo tee /etc/motd
