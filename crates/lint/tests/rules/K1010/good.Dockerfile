FROM debian:12
CMD ["sh", "-c", "exec serve --port \"$PORT\""]
