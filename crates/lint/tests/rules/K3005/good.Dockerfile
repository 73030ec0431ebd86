FROM debian:12
RUN --mount=type=secret,id=token git clone "https://$(cat /run/secrets/token)@example.com/private.git"
