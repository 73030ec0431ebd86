FROM a:1
RUN --mount=type=cache,target=/x a
RUN b
RUN --mount=type=cache,target=/x a
RUN --mount=type=cache,target=/x a
RUN --mount=target=/x,type=cache a
RUN --network=none a
RUN --network=none a
ONBUILD RUN a
RUN a
