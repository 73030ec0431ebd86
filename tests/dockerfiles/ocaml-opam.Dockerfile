FROM ocaml/opam:debian-12-ocaml-5.2 AS build
USER opam
WORKDIR /home/opam/src
COPY --chown=opam *.opam dune-project ./
RUN opam install . --deps-only -y
COPY --chown=opam . .
RUN eval $(opam env) && dune build @install --profile release
FROM debian:12-slim
COPY --from=build /home/opam/src/_build/default/bin/main.exe /usr/bin/tool
