FROM debian:12
RUN if true; then cd /x; fi; for i in a b; do sudo $i; done
RUN x=$(cd /x && pwd)
RUN `sudo x`
RUN echo "$(sudo x)"
RUN (sudo x)
RUN { sudo x; }
RUN f() { sudo x; }; f
RUN case x in a) sudo x;; esac
RUN A=b sudo x
RUN > /x sudo x
RUN 'sudo' x
RUN $x sudo
RUN "su"do x
RUN command sudo x
RUN exec sudo x
RUN time sudo x
RUN ! sudo x
RUN env sudo x
RUN [[ a ]] && sudo x
RUN echo 'a
RUN sudo "x
RUN builtin cd x
RUN /usr/bin/sudo x
RUN \sudo x
