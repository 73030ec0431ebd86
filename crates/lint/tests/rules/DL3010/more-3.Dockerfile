FROM a:1
COPY a /x.tar
RUN tar -xf /x.tar
