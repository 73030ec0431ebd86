FROM a:1
COPY a.tar b.tar /x/
RUN tar -xf /x/b.tar && tar -xf /x/a.tar
