FROM a:1
ARG PIP_NO_CACHE_DIR=1
RUN pip install a==1
RUN export PIP_NO_CACHE_DIR=1; pip install a==1
FROM b:1 AS b
ENV PIP_NO_CACHE_DIR=1
FROM b
RUN pip install a==1
