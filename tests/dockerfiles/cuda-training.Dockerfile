ARG CUDA=12.4.1
FROM nvidia/cuda:${CUDA}-cudnn-devel-ubuntu22.04 AS build
ARG TORCH_CUDA_ARCH_LIST="7.0 7.5 8.0 8.6 9.0+PTX"
ENV TORCH_CUDA_ARCH_LIST=${TORCH_CUDA_ARCH_LIST} \
    MAX_JOBS=4
WORKDIR /workspace
COPY requirements*.txt .
RUN --mount=type=cache,target=/root/.cache/pip python3 -m pip install -r requirements.txt -r requirements-cuda.txt
COPY csrc csrc
COPY setup.py CMakeLists.txt ./
RUN --mount=type=cache,target=/root/.cache/ccache python3 setup.py bdist_wheel --dist-dir=dist
FROM nvidia/cuda:${CUDA}-runtime-ubuntu22.04
RUN --mount=type=bind,from=build,src=/workspace/dist,target=/dist pip install /dist/*.whl --verbose
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
SHELL ["/bin/bash", "-c"]
CMD python3 -m server "$@"
