# LibTorch::LibTorch, directly from the Python package that contains it.
#
# find_package(Torch) is deliberately not used. It requires a whole CUDA toolkit (cuFFT, cuSOLVER, NVRTC, nvToolsExt,
# ...) although the package contains every one of these libraries, ignores CMAKE_CUDA_ARCHITECTURES, fails if the
# toolkit's patch version differs, and can drop libtorch_cuda at link time so that the GPU seems to be missing. This
# target requires only the package, and for CUDA a compiler of the same major version.

set(TRAINYARD_PYTHON python3 CACHE STRING "A Python that imports torch; its LibTorch is the one used")
option(TRAINYARD_CUDA_KERNELS "Compile Trainyard's own CUDA sources where LibTorch has CUDA" ON)

# What the package reports: folder, version, CUDA version, compiled architectures. Queried once, then cached.
if(NOT TRAINYARD_TORCH_FACTS OR NOT TRAINYARD_TORCH_FACTS_OF STREQUAL TRAINYARD_PYTHON)
  execute_process(
    COMMAND ${TRAINYARD_PYTHON} -c "import os, torch; print(';'.join([os.path.dirname(torch.__file__), \
torch.__version__.split('+')[0], torch.version.cuda or 'none', torch._C._cuda_getArchFlags() or '' \
if hasattr(torch._C, '_cuda_getArchFlags') else '']))"
    OUTPUT_VARIABLE _facts OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_VARIABLE _error RESULT_VARIABLE _result)
  if(NOT _result EQUAL 0)
    message(FATAL_ERROR "[cmake] ${TRAINYARD_PYTHON} cannot import torch; run scripts/bootstrap (or `make`), "
                        "or set -DTRAINYARD_PYTHON=\n${_error}")
  endif()
  set(TRAINYARD_TORCH_FACTS "${_facts}" CACHE INTERNAL "")
  set(TRAINYARD_TORCH_FACTS_OF "${TRAINYARD_PYTHON}" CACHE INTERNAL "")
endif()
list(GET TRAINYARD_TORCH_FACTS 0 TORCH_DIR)
list(GET TRAINYARD_TORCH_FACTS 1 TORCH_VERSION)
list(GET TRAINYARD_TORCH_FACTS 2 TORCH_CUDA_VERSION)
list(GET TRAINYARD_TORCH_FACTS 3 TORCH_ARCHS)
if(TORCH_VERSION VERSION_LESS 2.10 OR TORCH_VERSION VERSION_GREATER_EQUAL 2.16)
  message(FATAL_ERROR "[cmake] LibTorch ${TORCH_VERSION} in ${TORCH_DIR}: Trainyard builds with 2.10 to 2.15. "
                      "Set TORCH_PYTHON to a Python with one of these, or let scripts/bootstrap install one")
endif()

add_library(LibTorch::LibTorch INTERFACE IMPORTED)
target_include_directories(LibTorch::LibTorch INTERFACE
  ${TORCH_DIR}/include ${TORCH_DIR}/include/torch/csrc/api/include)
# LibTorch was compiled with NDEBUG; without it some of its classes have different members (at::RecordFunction).
target_compile_definitions(LibTorch::LibTorch INTERFACE $<$<NOT:$<CONFIG:Release>>:NDEBUG>)
target_link_libraries(LibTorch::LibTorch INTERFACE ${TORCH_DIR}/lib/libtorch_cpu.so ${TORCH_DIR}/lib/libc10.so)

# LibTorch's own dependencies (NCCL, cuDNN, cuBLAS, ...) are wheels next to it. -rpath-link makes the linker use these
# and not, e.g., an older libnccl.so.2 of the system, with which linking fails on undefined nccl symbols.
file(GLOB _wheel_lib_dirs LIST_DIRECTORIES true ${TORCH_DIR}/../nvidia/*/lib)
foreach(_dir IN LISTS _wheel_lib_dirs)
  target_link_options(LibTorch::LibTorch INTERFACE -Wl,-rpath-link,${_dir})
endforeach()

# c10d's header for Gloo includes Gloo's own, which no torch wheel contains; the code is in libtorch_cpu.
find_path(GLOO_INCLUDE_DIR gloo/context.h HINTS ${TRAINYARD_HEADERS} $ENV{TRAINYARD_HEADERS} REQUIRED)
add_library(trainyard_c10d INTERFACE)
target_include_directories(trainyard_c10d SYSTEM INTERFACE ${GLOO_INCLUDE_DIR})
target_compile_definitions(trainyard_c10d INTERFACE USE_C10D_GLOO)

if(TORCH_CUDA_VERSION STREQUAL "none")
  set(TRAINYARD_CUDA OFF)
  message(STATUS "LibTorch ${TORCH_VERSION} without CUDA, in ${TORCH_DIR}")
  return()
endif()

# The CUDA library registers itself from static objects and nothing references it: without --no-as-needed the linker
# drops it, and torch::cuda::is_available() is false on a machine with a GPU.
target_link_libraries(LibTorch::LibTorch INTERFACE
  -Wl,--push-state,--no-as-needed ${TORCH_DIR}/lib/libtorch_cuda.so -Wl,--pop-state ${TORCH_DIR}/lib/libc10_cuda.so)

set(TRAINYARD_CUDA ${TRAINYARD_CUDA_KERNELS})
if(NOT TRAINYARD_CUDA)
  message(STATUS "LibTorch ${TORCH_VERSION}, CUDA ${TORCH_CUDA_VERSION}, in ${TORCH_DIR}; no CUDA compiler, so "
                 "Trainyard's own kernels are left out")
  return()
endif()

# The architectures to compile for: as configured, else those of the cards present. For "all", and if nvidia-smi reports
# none, those LibTorch was compiled for, so that Trainyard's kernels run wherever LibTorch's do.
set(_archs ${TRAINYARD_CUDA_ARCHS})
set(_archs_from "TRAINYARD_CUDA_ARCHS")
if(NOT _archs)
  execute_process(COMMAND nvidia-smi --query-gpu=compute_cap --format=csv,noheader
                  OUTPUT_VARIABLE _cards OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE _result)
  if(_result EQUAL 0 AND _cards MATCHES "^[0-9.\n ]+$")
    string(REGEX MATCHALL "[0-9]+\\.[0-9]+" _archs "${_cards}")
    string(REPLACE "." "" _archs "${_archs}")
    set(_archs_from "the cards present")
  endif()
endif()
if(NOT _archs OR _archs STREQUAL "all")
  string(REGEX MATCHALL "[0-9]+" _archs "${TORCH_ARCHS}")
  set(_archs_from "LibTorch's list")
endif()
list(REMOVE_DUPLICATES _archs)
set(CMAKE_CUDA_ARCHITECTURES ${_archs})

set(CMAKE_CUDA_STANDARD 20)
# Only LibTorch's CUDA runtime in the process: a second, static one would have its own state and current device.
set(CMAKE_CUDA_RUNTIME_LIBRARY None)
enable_language(CUDA)
string(REGEX MATCH "^[0-9]+" _nvcc_major ${CMAKE_CUDA_COMPILER_VERSION})
string(REGEX MATCH "^[0-9]+" _torch_cuda_major ${TORCH_CUDA_VERSION})
if(NOT _nvcc_major EQUAL _torch_cuda_major)
  message(FATAL_ERROR "[cmake] ${CMAKE_CUDA_COMPILER} is CUDA ${CMAKE_CUDA_COMPILER_VERSION}, LibTorch is of CUDA "
                      "${TORCH_CUDA_VERSION}: the major versions must agree. Run scripts/bootstrap, or set CUDA_HOME")
endif()
find_library(TRAINYARD_CUDART NAMES libcudart.so.${_torch_cuda_major}
             PATHS ${_wheel_lib_dirs} ${CMAKE_CUDA_COMPILER}/../../lib64 ${CMAKE_CUDA_COMPILER}/../../lib
             NO_DEFAULT_PATH REQUIRED)
# Those that LibTorch loads: the wheels' before those of the system.
find_library(TRAINYARD_CUDNN NAMES libcudnn.so.9 HINTS ${_wheel_lib_dirs} REQUIRED)
find_library(TRAINYARD_CUBLASLT NAMES libcublasLt.so.${_torch_cuda_major}
             HINTS ${_wheel_lib_dirs} ${CMAKE_CUDA_COMPILER}/../../lib64 REQUIRED)

# LibTorch's CUDA headers include those of cuBLAS, cuSPARSE and cuSOLVER. A compiler without a whole toolkit lacks them,
# but the wheels next to LibTorch have them. The compiler's own headers take precedence.
file(GLOB _wheel_include_dirs LIST_DIRECTORIES true ${TORCH_DIR}/../nvidia/*/include)
target_include_directories(LibTorch::LibTorch INTERFACE
  ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES} ${_wheel_include_dirs})
target_link_libraries(LibTorch::LibTorch INTERFACE ${TRAINYARD_CUDART} ${TRAINYARD_CUDNN} ${TRAINYARD_CUBLASLT})
target_compile_definitions(trainyard_c10d INTERFACE USE_C10D_NCCL)
message(STATUS "LibTorch ${TORCH_VERSION}, CUDA ${TORCH_CUDA_VERSION}, in ${TORCH_DIR}")
message(STATUS "CUDA compiler ${CMAKE_CUDA_COMPILER} (${CMAKE_CUDA_COMPILER_VERSION}), "
               "architectures ${_archs} (${_archs_from})")
