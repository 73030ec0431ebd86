FROM debian:13
RUN export A=1 && make
RUN cd /src
RUN . ./install.sh
RUN export A=1 > /etc/profile
