FROM a:1
RUN pip install a
RUN pip install a==1
RUN pip install -r x
RUN pip install --requirement x
RUN pip install .
RUN pip install ./x
RUN pip install x/y
RUN pip install git+https://x/y@z
RUN pip install git+https://x/y
RUN pip install x.whl
RUN pip install x.tar.gz
RUN pip install "a>=1"
RUN pip install a[b]
RUN pip3 install a
RUN pip3.8 install a
RUN python -m pip install a
RUN python3 -m pip install --upgrade pip
RUN pip install --no-cache-dir -U pip==1
RUN pip install --index-url x a==1
RUN pip install -i x a==1
RUN pip install -c x a
RUN pip install --constraint=x a
RUN pip install -e .
RUN pip install -e git+https://x
RUN pip install $x
RUN pipx install a
RUN pipenv install a
RUN pip install --target x a==1
RUN pip install -t x a==1
RUN pip install --user a==1
RUN pip install --find-links x a==1
RUN PIP_NO_CACHE_DIR=1 pip install a==1
RUN pip --no-cache-dir install a==1
RUN uv pip install a
RUN --mount=type=cache,target=/root/.cache/pip pip install a==1
RUN --mount=type=cache,target=/root/.cache pip install a==1
RUN pip install -rx
RUN pip install a@x
RUN pip install https://x/y
RUN pip install https://x/y.zip
RUN pip download a
RUN pip
RUN python -m pip install -r x
RUN python -m x pip install y
RUN pip install --pre a~=1
RUN pip install a b==1
ENV PIP_NO_CACHE_DIR=1
RUN pip install a==1
ENV PIP_NO_CACHE_DIR=0
RUN pip install a==1
ENV PIP_NO_CACHE_DIR=off
RUN pip install a==1
ENV PIP_NO_CACHE_DIR=true
RUN pip install a==1
ENV PIP_NO_CACHE_DIR=x
RUN pip install a==1
