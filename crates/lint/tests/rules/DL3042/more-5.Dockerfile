FROM a:1
ENV PIP_NO_CACHE_DIR=x
RUN pip install a==1
