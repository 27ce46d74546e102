#!/usr/bin/env bash
# Tests scripts/bootstrap on simulated machines: PATH contains only stand-ins, so no package, wheel or network of the
# real machine is used. Each test_ function is a case and starts with a bare machine.
# shellcheck disable=SC2016 # the stand-ins' own variables
set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
passed=0 failed=0

program() { # name, script on standard input
  { printf '#!%s\n' "$(command -v bash)" && cat; } >"$machine/bin/$1"
  chmod +x "$machine/bin/$1"
}

# A python3 that can create environments and whose pip "installs" by creating torch/, cmake and so on. It can import
# what pip, or the case, has added to $self.has.
python_standin() {
  cat <<'STANDIN'
self=$(readlink -f "$0")
case "$*" in
  *"-m venv "*) mkdir -p "${@: -1}/bin" && cp "$self" "${@: -1}/bin/python" ;;
  *"-m pip install "*)
    echo "pip $*" >>"$machine/log"
    [[ ! -e $machine/no-network && $* != *" $(cat "$machine/no-wheel" 2>/dev/null)" ]] || exit 1
    for word; do [[ $word != *==* ]] || echo "${word%%==*} ${word##*==}" >>"$self.has"; done
    for tool in cmake ctest ninja; do printf '#!/bin/sh\n' >"${self%/*}/$tool" && chmod +x "${self%/*}/$tool"; done
    mkdir -p "${self%/*}/../torch/lib" "${self%/*}/../cu13/bin" "${self%/*}/../cu13/lib"
    touch "${self%/*}/../torch/lib/libtorch_cpu.so" "${self%/*}/../cu13/bin/nvcc"
    ;;
  *"-m pip freeze"*) sed 's/ /==/' "$self.has" ;;
  *"import sys, ensurepip"*) ;;
  *"import os, torch"*)
    version=$(sed -n 's/^torch //p' "$self.has" 2>/dev/null | tail -n1)
    [[ -n $version ]] || { echo "ModuleNotFoundError: No module named 'torch'" >&2; exit 1; }
    mkdir -p "${self%/*}/torch/lib" && touch "${self%/*}/torch/lib/libtorch_cpu.so"
    [[ $version < 2.11 ]] && cuda=12.8 || cuda=13.0
    echo "torch: $version $cuda ${self%/*}/torch"
    ;;
  *"import torch"*) [[ -e $machine/torch-is-damaged ]] && { rm "$machine/torch-is-damaged"; exit 1; }; grep -q '^torch ' "$self.has" ;;
  *"import "*"torchvision"*) grep -q '^torchvision ' "$self.has" ;;
  *"import PIL"*) grep -q '^pillow ' "$self.has" ;;
  *"import nvidia"*) echo "${self%/bin/*}/cu13/bin/nvcc" ;;
esac
STANDIN
}

bare_machine() { # a Debian 12 with root, working apt-get and network
  machine=$scratch/$1
  mkdir -p "$machine/bin" "$machine/clone/scripts" "$machine/cache"
  # Hides the distribution, the CUDA toolkit and the dataset of the real machine.
  sed -e "s|/etc/os-release|$machine/os-release|; s|/usr/local/cuda|$machine/cuda|g; s|/usr/bin/python3|$machine/none|" \
    -e "s|/usr/share/datasets|$machine/datasets|; s|/usr/local/include/|$machine/include/|; s|/usr/include/\\$|$machine/none/\$|" \
    -e "s|-C /usr/local |-C $machine |; s|/dev/dxg|$machine/dxg|; s|'/dev/nvidia|'$machine/nvidia|" "$repository/scripts/bootstrap" >"$machine/clone/scripts/bootstrap"
  printf 'ID=debian\nVERSION_ID="12"\n' >"$machine/os-release"
  local tool
  for tool in awk bash cat chmod cksum cp cut df dirname du env flock grep head ln mkdir mktemp mv readlink rm sed sort tail touch; do
    ln -s "$(command -v $tool)" "$machine/bin/$tool"
  done
  program id <<<"echo 0"
  program dpkg-query <<<'cat "$machine/installed" 2>/dev/null; exit 0'
  program dpkg </dev/null
  program dpkg-deb <<<"echo headers"
  program tar <<<'cat >/dev/null && mkdir -p "$machine/include/gloo" && touch "$machine/include/gloo/context.h"'
  program apt-get <<'STANDIN'
if [[ " $* " == *" download "* ]]; then
  echo "download ${@: -1}" >>"$machine/log"
  [[ ! -e $machine/no-network ]] || exit 100
  touch "${@: -1}.deb"
fi
[[ " $* " == *" install "* ]] || exit 0
echo "apt-get ${*##* --no-install-recommends }" >>"$machine/log"
[[ ! -e $machine/no-network ]] || exit 100
for word; do echo "installed $word"; done >>"$machine/installed"
for tool in g++ ccache; do printf '#!/bin/sh\n' >"$machine/bin/$tool" && chmod +x "$machine/bin/$tool"; done
mkdir -p "$machine/datasets/fashion-mnist"
cp "$machine/python3" "$machine/bin/python3"
STANDIN
  { printf '#!%s\n' "$(command -v bash)" && python_standin; } >"$machine/python3"
  chmod +x "$machine/python3"
}

bootstrap() { # sets status and output; extra variables as NAME=value arguments, the script's argument in $argument
  status=0
  output=$(env -i machine="$machine" PATH="$machine/bin" XDG_CACHE_HOME="$machine/cache" "$@" \
    bash "$machine/clone/scripts/bootstrap" ${argument:+"$argument"} 2>&1) || status=$?
}
log() { cat "$machine/log" 2>/dev/null || true; }
toolkit() { # folder, version
  mkdir -p "$1/bin" "$1/include" && touch "$1/include/cuda_runtime.h"
  printf '#!/bin/sh\necho "Cuda compilation tools, release %s, V%s.1"\n' "$2" "$2" >"$1/bin/nvcc"
  chmod +x "$1/bin/nvcc"
}

expect() { # description, command that must succeed
  local what=$1
  shift
  if "$@"; then passed=$((passed + 1)); else
    failed=$((failed + 1))
    printf 'FAILED %s: %s\n  exit code %s, output:\n%s\n' "${FUNCNAME[1]}" "$what" "$status" "${output//$'\n'/$'\n    '}"
  fi
}
says() { [[ $output == *"$1"* ]]; }
logged() { [[ $(log) == *"$1"* ]]; }
toolchain() { [[ $(<"$machine/clone/build/toolchain.cmake") == *"$1"* ]]; }

test_bare_machine_gets_everything_in_one_step() {
  bare_machine everything
  touch "$machine/nvidia0"
  bootstrap
  expect "succeeds" [ "$status" = 0 ]
  expect "asks apt-get once" [ "$(log | grep -c '^apt-get')" = 1 ]
  expect "with Python, which it needs for the wheels" logged "python3-venv"
  expect "installs the pinned LibTorch" logged "torch==2.14.0"
  expect "and nvcc of its CUDA version" logged "nvidia-cuda-nvcc==13.0.*"
  expect "names its LibTorch for CMake" toolchain "$machine/cache/trainyard/torch-2.14.0/bin/python"
  expect "names its CUDA compiler for CMake" toolchain "cu13/bin/nvcc"
  expect "says what it chose" says "[bootstrap] LibTorch: 2.14.0"
}

test_without_a_gpu_our_kernels_are_left_out() {
  bare_machine no-gpu
  toolkit "$machine/cuda" 13.0
  bootstrap
  expect "succeeds" [ "$status" = 0 ]
  expect "leaves our kernels out" toolchain "TRAINYARD_CUDA_KERNELS OFF"
  expect "says how to have them" says "set CUDA_ARCHS to its GPUs' architectures"
  bootstrap CUDA_ARCHS=90
  expect "compiles them for the architectures named" toolchain "$machine/cuda/bin/nvcc"
  bootstrap
  expect "not longer than they are named" toolchain "TRAINYARD_CUDA_KERNELS OFF"
  touch "$machine/nvidia0"
  bootstrap
  expect "and for a GPU that has come" toolchain "$machine/cuda/bin/nvcc"
}

test_second_run_touches_nothing() {
  bare_machine second
  bootstrap
  local before
  before=$(cd "$machine" && find clone cache -printf '%p %T@\n' | sort)
  : >"$machine/log"
  bootstrap
  expect "succeeds" [ "$status" = 0 ]
  expect "installs nothing" [ -z "$(log)" ]
  expect "changes no file" [ "$(cd "$machine" && find clone cache -printf '%p %T@\n' | sort)" = "$before" ]
}

test_moved_clone_is_configured_anew() {
  bare_machine moved
  bootstrap
  mv "$machine/clone" "$machine/elsewhere"
  ln -s elsewhere "$machine/clone"
  bootstrap
  expect "succeeds" [ "$status" = 0 ]
  expect "names the new folder, so that make configures anew" toolchain "$machine/elsewhere"
}

test_what_was_deleted_is_repaired() {
  bare_machine repaired
  bootstrap
  rm -r "$machine/cache/trainyard/torch-2.14.0"
  : >"$machine/log"
  bootstrap
  expect "succeeds" [ "$status" = 0 ]
  expect "installs LibTorch again" logged "torch==2.14.0"
  expect "and nothing else" [ "$(log | wc -l)" = 1 ]
}

test_without_network_it_says_so_and_goes_on_later() {
  bare_machine network
  touch "$machine/no-network"
  bootstrap
  expect "exits with 1 when apt-get fails" [ "$status" = 1 ]
  expect "names the packages" says "libcli11-dev"
  rm "$machine/no-network"
  bootstrap
  rm -r "$machine/cache/trainyard/torch-2.14.0"
  touch "$machine/no-network"
  bootstrap
  expect "exits with 1 when pip fails" [ "$status" = 1 ]
  expect "says what to do" says "run this again"
  expect "leaves no environment marked complete" [ ! -e "$machine/cache/trainyard/torch-2.14.0/.complete" ]
  rm "$machine/no-network"
  bootstrap
  expect "succeeds once the network is back" [ "$status" = 0 ]
}

test_damaged_environment_is_made_anew() {
  bare_machine damaged
  bootstrap
  rm "$machine/cache/trainyard/torch-2.14.0/.complete" "$machine/clone/build/bootstrap.stamp"
  touch "$machine/torch-is-damaged" "$machine/cache/trainyard/torch-2.14.0/leftover"
  bootstrap
  expect "succeeds" [ "$status" = 0 ]
  expect "removed what was there" [ ! -e "$machine/cache/trainyard/torch-2.14.0/leftover" ]
}

test_python3_with_torch_is_taken() {
  bare_machine container
  touch "$machine/nvidia0"
  bootstrap
  echo "torch 2.12.1" >"$machine/bin/python3.has"
  toolkit "$machine/cuda" 13.2
  : >"$machine/log"
  bootstrap
  expect "succeeds" [ "$status" = 0 ]
  expect "installs nothing" [ -z "$(log)" ]
  expect "takes that Python" toolchain "\"$machine/bin/python3\""
  expect "and the toolkit of the same major version" toolchain "$machine/cuda/bin/nvcc"
  bootstrap TORCH_VERSION=2.14.0
  expect "unless another version is asked for" toolchain "torch-2.14.0/bin/python"
}

test_parity_stands_beside_libtorch() {
  bare_machine parity
  local argument=parity python=$machine/clone/build/bin/parity-python
  bootstrap
  expect "succeeds" [ "$status" = 0 ]
  expect "installs the torchvision that goes with LibTorch, and no other torch" logged "torchvision==0.29.*"
  expect "without its dependencies" logged "--no-deps numpy=="
  expect "and sees LibTorch behind it" grep -q "site-packages:$machine/cache/trainyard/torch-2.14.0/bin\"" "$python"
  : >"$machine/log"
  bootstrap
  expect "installs nothing the second time" [ -z "$(log)" ]
  touch "$machine/clone/build/bootstrap.stamp"
  rm "$machine/cache/trainyard/parity/.complete"
  bootstrap
  expect "looks again when LibTorch was chosen anew" logged "torchvision==0.29.*"
  printf 'pillow 13.0.0\ntorchvision 0.29.2\n' >>"$machine/cache/trainyard/torch-2.14.0/bin/python.has"
  touch "$machine/clone/build/bootstrap.stamp"
  bootstrap
  expect "takes LibTorch's Python where that has it all" says "Pillow, torchvision, safetensors and TensorBoard of"
}

test_weights_stand_beside_libtorch() {
  bare_machine weights
  local argument=weights
  bootstrap
  expect "succeeds" [ "$status" = 0 ]
  expect "installs timm without its dependencies, and no other torch" logged "--no-deps numpy==2.4.6 pillow==13.0.0 safetensors==0.8.0 timm=="
  expect "and sees LibTorch behind it" \
    grep -q "site-packages:$machine/cache/trainyard/torch-2.14.0/bin\"" "$machine/clone/build/bin/weights-python"
  : >"$machine/log"
  bootstrap
  expect "installs nothing the second time" [ -z "$(log)" ]
}

test_programs_beside_the_trainer_have_environments_of_their_own() {
  local argument package
  local -A packages=([sweep]=optuna [tensorboard]=tensorboard [track]=mlflow-skinny)
  for argument in "${!packages[@]}"; do
    package=${packages[$argument]}
    bare_machine "$argument"
    bootstrap
    expect "succeeds" [ "$status" = 0 ]
    expect "installs $package" logged "$package=="
    expect "and makes a Python for it" grep -q "/$argument/bin/python\"" "$machine/clone/build/bin/$argument-python"
    : >"$machine/log"
    bootstrap
    expect "installs nothing the second time" [ -z "$(log)" ]
  done
}

test_peers_that_do_not_install_are_left_out() {
  bare_machine peers
  local argument=peers
  echo "grain==0.2.18" >"$machine/no-wheel"
  bootstrap
  expect "succeeds" [ "$status" = 0 ]
  expect "says what is left out" says "going on without grain==0.2.18"
  expect "installs what comes after it" logged "nvidia-dali-cuda130=="
  rm "$machine/no-wheel"
  : >"$machine/log"
  bootstrap
  expect "tries it again" logged "grain==0.2.18"
  expect "and nothing else" [ "$(log | grep -c ^pip)" = 1 ]
}

test_unfit_torch_and_toolkit_are_passed_over() {
  bare_machine unfit
  touch "$machine/nvidia0"
  bootstrap
  echo "torch 2.9.1" >"$machine/bin/python3.has"
  toolkit "$machine/cuda" 12.8
  bootstrap
  expect "says why not this torch" says "python3 has 2.9.1, outside 2.10 to 2.15"
  expect "says why not this toolkit" says "has 12.8, LibTorch needs 13"
  expect "takes its own nvcc" toolchain "cu13/bin/nvcc"
}

test_cuda_12_needs_a_toolkit_for_our_kernels() {
  bare_machine cuda12
  touch "$machine/nvidia0"
  bootstrap TORCH_VERSION=2.10.0
  expect "succeeds" [ "$status" = 0 ]
  expect "leaves our kernels out" toolchain "TRAINYARD_CUDA_KERNELS OFF"
  expect "says how to have them" says "set CUDA_HOME to a toolkit of CUDA 12.8"
  toolkit "$machine/toolkit" 12.8
  bootstrap TORCH_VERSION=2.10.0 CUDA_HOME="$machine/toolkit"
  expect "takes the toolkit of CUDA_HOME" toolchain "$machine/toolkit/bin/nvcc"
}

test_headers_of_a_folder_need_no_package() {
  bare_machine headers
  mkdir -p "$machine/headers/toml++" && touch "$machine/headers/toml++/toml.h"
  bootstrap TRAINYARD_HEADERS="$machine/headers"
  expect "succeeds" [ "$status" = 0 ]
  expect "installs the other packages" logged "libcli11-dev"
  expect "but not that of the folder's header" [ "$(log | grep -c libtomlplusplus-dev)" = 0 ]
  bootstrap
  expect "installs it where the folder is not named" logged "libtomlplusplus-dev"
}

test_of_gloo_the_headers_alone_are_installed() {
  bare_machine gloo
  bootstrap
  expect "succeeds" [ "$status" = 0 ]
  expect "downloads the package" logged "download libgloo-dev"
  expect "does not install it" [ "$(log | grep -c 'apt-get.*libgloo-dev')" = 0 ]
  expect "leaves its headers" [ -e "$machine/include/gloo/context.h" ]
  rm -r "$machine/include"
  bootstrap
  expect "gets them again where they are missing" [ -e "$machine/include/gloo/context.h" ]
}

test_wrong_usage_exits_with_2() {
  bare_machine usage
  bootstrap TORCH_VERSION=1.13
  expect "TORCH_VERSION out of range" [ "$status" = 2 ]
  expect "says the range" says "2.10.0 to 2.15"
  bootstrap TORCH_PYTHON=/no/such/python
  expect "TORCH_PYTHON that is not there" [ "$status" = 2 ]
  expect "names it" says "/no/such/python"
}

test_unknown_distribution_prints_the_list_and_exits_with_2() {
  bare_machine distribution
  printf 'ID=fedora\nVERSION_ID=43\n' >"$machine/os-release"
  bootstrap
  expect "exits with 2" [ "$status" = 2 ]
  expect "names it" says "fedora 43"
  expect "prints the list" says "libspdlog-dev"
  expect "installs nothing" [ -z "$(log)" ]
}

test_without_root_and_sudo_it_says_what_to_install() {
  bare_machine user
  rm "$machine/bin/id" && program id <<<'echo 1000'
  bootstrap
  expect "exits with 1" [ "$status" = 1 ]
  expect "gives the command" says "apt-get install"
  program sudo <<<'echo sudo >>"$machine/log"; exec "$@"'
  bootstrap
  expect "uses sudo where there is one" [ "$status" = 0 ]
  expect "for apt-get and the headers alone" [ "$(log | grep -c '^sudo')" = 4 ]
}

test_full_disk_is_named_before_anything_is_downloaded() {
  bare_machine disk
  bootstrap
  rm -r "$machine/cache/trainyard/torch-2.14.0" "$machine/bin/df"
  program df <<<'printf "Filesystem 1024-blocks Used Available Capacity Mounted\nx 1 1 5242880 1%% /\n"'
  : >"$machine/log"
  bootstrap
  expect "exits with 1" [ "$status" = 1 ]
  expect "says what is free and what is needed" says "has 5 GB free, 9 GB are needed"
  expect "downloads nothing" [ -z "$(log)" ]
}

test_unwritable_cache_is_named() {
  bare_machine unwritable
  touch "$machine/file"
  bootstrap XDG_CACHE_HOME="$machine/file"
  expect "exits with 1" [ "$status" = 1 ]
  expect "says what to set" says "set XDG_CACHE_HOME"
}

for case in $(compgen -A function test_); do "$case"; done
printf '%d passed, %d failed\n' "$passed" "$failed"
((failed == 0))
