# Replaces pytorch/pytorch:*-devel if no registry is reachable. Deliberately uses another distribution and another
# Python, with only what the Dockerfile may rely on. torch is the real wheel; CUDA comes from NVIDIA's compiler wheels.
FROM trainyard-test/debian

RUN rm -f /usr/lib/python3*/EXTERNALLY-MANAGED && useradd --uid 1000 --create-home --shell /bin/bash ubuntu
ARG TORCH_VERSION=2.14.0
ARG CUDA_VERSION=13.0
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --root-user-action ignore --timeout 60 --retries 8 "torch==$TORCH_VERSION" "nvidia-cuda-nvcc==$CUDA_VERSION.*" \
      "nvidia-cuda-crt==$CUDA_VERSION.*" "nvidia-nvvm==$CUDA_VERSION.*" "nvidia-cuda-cccl==$CUDA_VERSION.*" \
 && ln -s "$(python3 -c 'import nvidia; print(list(nvidia.__path__)[0])')/cu${CUDA_VERSION%.*}" /usr/local/cuda
# Like a real toolkit and the real images: a compiler, CMake from the wheel index, and the setting of Debian's and
# Ubuntu's images that keeps dpkg from waiting for the disk.
RUN ln -s lib /usr/local/cuda/lib64 && echo force-unsafe-io > /etc/dpkg/dpkg.cfg.d/docker-apt-speedup
RUN --mount=type=cache,target=/root/.cache/pip pip install --root-user-action ignore cmake
RUN apt-get update && apt-get install -y --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*

ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    LD_LIBRARY_PATH=/usr/local/nvidia/lib:/usr/local/nvidia/lib64 \
    PATH=/usr/local/nvidia/bin:/usr/local/cuda/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
WORKDIR /workspace
