FROM a:1
HEALTHCHECK --interval=5s CMD a
SHELL ["/bin/bash","-c"]
CMD a
