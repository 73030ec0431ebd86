FROM a:1
RUN curl x
ONBUILD RUN curl x && wget -q y
RUN wget -nv x
RUN wget -O x y
RUN wget --no-verbose x
RUN wget -qO- x
RUN wget --progress=dot:giga x
RUN wget -o x y
RUN wget -a x y
RUN wget -nc -nv y
RUN wget --no-check-certificate x
RUN wget --version
