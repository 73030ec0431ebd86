FROM python:3.9-slim AS base
ARG PIP_INDEX_URL
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
RUN apt-get update && apt-get install -y --no-install-recommends \
      build-essential \
      libpq-dev=15.* \
      git \
    && rm -rf /var/lib/apt/lists/*
COPY requirements.txt /tmp/
RUN pip install --upgrade pip setuptools wheel \
 && pip install -r /tmp/requirements.txt
RUN python3 -m pip install --no-cache-dir jupyterlab==4.0.0 pandas
FROM base
COPY --from=base /usr/local/lib /usr/local/lib
WORKDIR /work
RUN useradd -m -u 1001 work && chown work /work
USER work
ENTRYPOINT ["jupyter"]
CMD ["lab", "--ip=0.0.0.0"]
