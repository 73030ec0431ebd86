FROM debian:12
RUN flags=-a; flags+=-b; make "$flags"
