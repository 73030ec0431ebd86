FROM condaforge/mambaforge:latest
ARG ENV_FILE=environment.yml
COPY ${ENV_FILE} /tmp/
RUN mamba env create -f /tmp/${ENV_FILE##*/} && mamba clean -afy
SHELL ["conda", "run", "-n", "myenv", "/bin/bash", "-c"]
RUN python -c "import numpy; print(numpy.__version__)"
COPY run.py .
ENTRYPOINT ["conda", "run", "--no-capture-output", "-n", "myenv", "python", "run.py"]
