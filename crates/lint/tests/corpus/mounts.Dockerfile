FROM python:3.12
RUN --mount=type=cache,target=/root/.cache/pip pip install poetry
RUN --mount=type=cache,target=/var/cache/apt,sharing=locked \
    --mount=type=cache,target=/var/lib/apt,sharing=locked \
    apt-get update && apt-get install -y --no-install-recommends gcc=4:12
RUN --mount=type=secret,id=token pip install --extra-index-url "https://$(cat /run/secrets/token)@example.com" pkg==1
RUN --mount=type=bind,source=requirements.txt,target=/r.txt pip install --no-cache-dir -r /r.txt
RUN --mount=type=cache,target=/var/cache/apk apk add foo
RUN --mount=type=tmpfs,target=/tmp yarn install
RUN --mount=type=cache,target=/usr/local/share/.cache/yarn yarn install --frozen-lockfile
