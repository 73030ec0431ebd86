# syntax=docker/dockerfile:1
FROM python:3.12-alpine
RUN <<EOF
apk update
apk add --no-cache \
  git \
  make
EOF
RUN <<-PYTHON python3 > /built-at
	import datetime
	print(datetime.datetime.now().isoformat())
	PYTHON
COPY <<-"EOF" /etc/app/config.toml
	[server]
	listen = "0.0.0.0:${PORT}"
EOF
COPY --chmod=0755 <<'run.sh' <<'stop.sh' /usr/local/bin/
#!/bin/sh
exec python3 -m app "$@"
run.sh
#!/bin/sh
kill -TERM "$(cat /run/app.pid)"
stop.sh
CMD ["run.sh"]
