FROM scratch
COPY app /app
USER nobody
