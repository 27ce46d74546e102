# Stages: trainer (compilers, libraries, Fashion-MNIST: what trains, with the source mounted), dev (and what people work
# with), tensorboard (and TensorBoard), build (the compiled trainer), runtime (the trainer and what it links, on a runtime
# image).
# BASE_IMAGE is any pytorch/pytorch:*-devel from 2.10 to 2.15, or an image of your own with LibTorch in its python3, on
# Debian 12, 13 or Ubuntu 24.04. There is no syntax line: it would fetch a frontend from a registry.
ARG BASE_IMAGE=default-base
ARG RUNTIME_IMAGE=default-runtime

# In lines of their own, because Dependabot reads no ARG. A stage that nothing needs is not pulled.
FROM pytorch/pytorch:2.14.0-cuda13.0-cudnn9-devel AS default-base
FROM pytorch/pytorch:2.14.0-cuda13.0-cudnn9-runtime AS default-runtime

FROM ${BASE_IMAGE} AS trainer
USER root
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
# The sum tells the build trees of two images apart (docker/entrypoint).
RUN torch=$(python3 -c 'import sys, torch; print(torch.__version__, sys.version, torch.__file__)') || torch=none; \
    cksum <<< "$torch" > /etc/trainyard-image; torch=${torch%% *}; [[ $torch =~ ^2\.1[0-5]\. ]] || { \
      echo "BASE_IMAGE has LibTorch $torch in python3; Trainyard builds on 2.10 to 2.15: scripts/images.tsv names images"; \
      exit 1; }
# Downloaded packages stay in the cache mounts; the images' own habit of deleting them would empty those.
RUN rm -f /etc/apt/apt.conf.d/docker-clean
RUN --mount=type=cache,target=/var/cache/apt,sharing=locked --mount=type=cache,target=/var/lib/apt,sharing=locked \
    apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends dataset-fashion-mnist fortunes
# scripts/bootstrap knows what the build needs. With TORCH_PYTHON it takes the image's LibTorch and installs none.
RUN --mount=type=cache,target=/var/cache/apt,sharing=locked --mount=type=cache,target=/var/lib/apt,sharing=locked \
    --mount=type=bind,source=scripts/bootstrap,target=/mnt/bootstrap \
    apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      make ninja-build $(command -v cmake > /dev/null || echo cmake) \
 && mkdir -p /tmp/clone/scripts && cp /mnt/bootstrap /tmp/clone/scripts/ \
 && TORCH_PYTHON=python3 /tmp/clone/scripts/bootstrap && rm -rf /tmp/clone

# The caller's own ids, also where the base gave them to a user of its own (Ubuntu's `ubuntu` has 1000).
ARG HOST_UID=1000
ARG HOST_GID=1000
RUN if other=$(getent passwd "$HOST_UID" | cut -d: -f1) && [ -n "$other" ] && [ "$HOST_UID" != 0 ]; then \
      userdel --remove "$other" 2> /dev/null; fi; \
    getent group "$HOST_GID" > /dev/null || groupadd --gid "$HOST_GID" trainyard; \
    useradd --no-log-init --non-unique --uid "$HOST_UID" --gid "$HOST_GID" --create-home --shell /bin/bash trainyard
# Volumes take over these folders' modes, so that any --user can build. With VOLUME, a container of a mounted clone
# has a build tree of its own, and never the host's.
RUN install -d -m 1777 /workspace/build /var/cache/ccache
COPY --chmod=755 docker/entrypoint /usr/local/bin/trainyard-entrypoint
# GOMP_SPINCOUNT: LibTorch's threads wait by spinning; so short that they take few cycles from loader workers.
ENV CCACHE_DIR=/var/cache/ccache CCACHE_UMASK=000 GOMP_SPINCOUNT=20000
WORKDIR /workspace
VOLUME /workspace/build
USER ${HOST_UID}:${HOST_GID}
ENTRYPOINT ["trainyard-entrypoint"]
CMD ["bash"]

FROM trainer AS dev
USER root
RUN --mount=type=cache,target=/var/cache/apt,sharing=locked --mount=type=cache,target=/var/lib/apt,sharing=locked \
    apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      clangd gdb git less nano procps python3-pil
USER ${HOST_UID}:${HOST_GID}

FROM trainer AS tensorboard
USER root
RUN --mount=type=cache,target=/root/.cache/pip PIP_BREAK_SYSTEM_PACKAGES=1 python3 -m pip install tensorboard
USER ${HOST_UID}:${HOST_GID}

FROM trainer AS build
USER root
# The architectures of the image's LibTorch. 90 builds for H100 alone, faster.
ARG CUDA_ARCHS=all
WORKDIR /source
COPY . .
RUN --mount=type=cache,target=/var/cache/ccache \
    TORCH_PYTHON=python3 scripts/bootstrap \
 && cmake --preset release -DTRAINYARD_TESTS=OFF \
 && cmake --build --preset release --target trainyard \
 && install -D -m 755 --strip build/release/trainyard /opt/trainyard/bin/trainyard

FROM ${RUNTIME_IMAGE} AS runtime
USER root
COPY --from=build /opt/trainyard /opt/trainyard
# LibTorch is the runtime image's own, in the same place. Of the other libraries, those that this image lacks.
RUN --mount=type=bind,from=build,source=/,target=/mnt set -eu; \
    mkdir /opt/trainyard/lib; echo /opt/trainyard/lib > /etc/ld.so.conf.d/trainyard.conf; \
    missing() { ldd /opt/trainyard/bin/trainyard | awk '/not found/ {print $1}'; }; \
    for library in $(missing); do \
      cp -L "$(find /mnt/usr/lib /mnt/lib /mnt/usr/local/lib -name "$library" | head -n 1)" /opt/trainyard/lib/; \
    done; \
    ldconfig; \
    [ -z "$(missing)" ] || { echo "RUNTIME_IMAGE does not match BASE_IMAGE; it lacks:" $(missing); exit 1; }; \
    ln -s /opt/trainyard/bin/trainyard /usr/local/bin/trainyard; /opt/trainyard/bin/trainyard --version
ENV GOMP_SPINCOUNT=20000
WORKDIR /workspace
USER 1000:1000
ENTRYPOINT ["trainyard"]
CMD ["check"]
