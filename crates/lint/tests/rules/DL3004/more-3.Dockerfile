FROM debian:12
RUN ["sudo", "x"]
RUN ["sh","-c","cd /x && sudo y"]
ONBUILD RUN sudo x
ONBUILD RUN cd x
CMD sudo x
HEALTHCHECK CMD sudo x
