FROM a:1
COPY a.tar.gz /x/
RUN tar -xf /x/a.tar.gz
FROM a:1
COPY a.tar.gz /x/
RUN tar xzf /x/a.tar.gz
