ARG REGISTRY=quay.io
ARG OWNER=jupyter
ARG BASE_IMAGE=$REGISTRY/$OWNER/docker-stacks-foundation
FROM $BASE_IMAGE

LABEL maintainer="Some People <people@example.org>"
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
USER root
RUN apt-get update --yes && \
    # - pandoc is used to convert notebooks
    apt-get install --yes --no-install-recommends \
    fonts-liberation \
    pandoc \
    run-one && \
    apt-get clean && rm -rf /var/lib/apt/lists/*
USER ${NB_UID}
WORKDIR /tmp
ENV JUPYTER_PORT=8888
EXPOSE $JUPYTER_PORT
CMD ["start-notebook.py"]
COPY start-notebook.py start-notebook.sh /usr/local/bin/
USER root
HEALTHCHECK --interval=3s --timeout=1s --start-period=3s --retries=3 \
    CMD /etc/jupyter/docker_healthcheck.py || exit 1
USER ${NB_UID}
WORKDIR "${HOME}"
