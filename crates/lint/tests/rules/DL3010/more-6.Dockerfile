FROM a:1
COPY a.gz /x/
RUN gunzip a.gz
