FROM a:1
ENV PIP_NO_CACHE_DIR="True"
RUN pip install a==1
RUN PIP_NO_CACHE_DIR=0 pip install a==1
