FROM debian:12
RUN ["apt-get", "update"]
RUN ["apt-get", "install", "-y", "curl"]
RUN ["/bin/bash", "-c", "cd /x && sudo make"]
CMD ["sh", "-c", "a && b"]
ENTRYPOINT ["a"]
ENTRYPOINT b
