ARG PYTHON=3.11
FROM python:${PYTHON}-slim AS python-base
ENV POETRY_VERSION=1.8.3 \
    POETRY_HOME="/opt/poetry" \
    VENV_PATH="/opt/pysetup/.venv"
ENV PATH="$POETRY_HOME/bin:$VENV_PATH/bin:$PATH"

FROM python-base AS builder-base
RUN buildDeps="build-essential" \
    && apt-get update \
    && apt-get install --no-install-recommends -y curl $buildDeps \
    && rm -rf /var/lib/apt/lists/*
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN curl -sSL https://install.example | POETRY_VERSION=${POETRY_VERSION} python3 -
WORKDIR /opt/pysetup
COPY ./poetry.lock ./pyproject.toml ./
RUN poetry install --no-dev

FROM python-base AS production
COPY --from=builder-base $VENV_PATH $VENV_PATH
COPY ./docker/docker-entrypoint.sh /docker-entrypoint.sh
RUN chmod +x /docker-entrypoint.sh
COPY ./app /app
WORKDIR /app
ENTRYPOINT /docker-entrypoint.sh $0 $@
CMD [ "gunicorn", "--worker-class uvicorn.workers.UvicornWorker", "main:app"]
