FROM continuumio/miniconda3:4.12.0
COPY environment.yml .
RUN conda env create -f environment.yml && conda clean -afy
SHELL ["conda", "run", "-n", "env", "/bin/bash", "-c"]
RUN pip install git+https://example.com/a/b.git git+https://example.com/a/b.git@v1 ./local pkg[extra]==1.0 -c constraints.txt
RUN pip install torch==1.13.1+cpu -f https://example.com/whl.html
RUN pip3 install --user -U "numpy>=1.20,<2" scipy
RUN pip install -e '.[dev]'
RUN PIP_NO_CACHE_DIR=1 python -m pip install wheel
