FROM julia:1.10
ENV JULIA_DEPOT_PATH=/opt/julia JULIA_CPU_TARGET="generic;sandybridge,-xsaveopt,clone_all;haswell,-rdrnd,base(1)"
WORKDIR /app
COPY Project.toml Manifest.toml ./
RUN julia --project=. -e 'using Pkg; Pkg.instantiate(); Pkg.precompile()'
COPY src/ src/
CMD ["julia", "--project=.", "src/main.jl"]
