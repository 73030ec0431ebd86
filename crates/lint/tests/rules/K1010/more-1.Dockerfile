FROM debian:13
ENTRYPOINT ["/bin/sh", "-c"]
CMD ["echo $HOME"]
FROM debian:13
CMD ["grep", "a$", "/etc/motd"]
FROM debian:13
ENTRYPOINT ["java", "-jar", "${JAR}"]
