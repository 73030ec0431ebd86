FROM a:1
COPY a.tar /x/
COPY b.tar /x/
RUN tar -xf /x/b.tar
RUN tar -xf /x/a.tar
