FROM debian:12
RUN --mount=type=secret,id=aws,target=/root/.aws/credentials fetch
