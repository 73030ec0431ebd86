FROM a:1
RUN useradd -u 123456 a
RUN useradd -u 12345 a
RUN useradd -l -u 123456 a
RUN useradd --no-log-init -u 123456 a
RUN useradd --uid 123456 a
RUN useradd --uid=123456 a
RUN useradd -u123456 a
RUN useradd -lu 123456 a
RUN useradd -u $x a
RUN useradd -u ${VERYLONG} a
RUN adduser -u 123456 a
RUN useradd -u 65536 a
RUN useradd -g 123456 a
RUN free
RUN service x start
RUN ifconfig
RUN top
RUN mount x y
RUN kill 1
RUN shutdown
RUN ssh x
RUN vim
RUN ps
RUN apt install x
RUN apt list
RUN apt-key x
