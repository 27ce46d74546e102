/// Probes devices with small computations, because only these show whether a device works: a card without compiled
/// kernels is listed, has memory, and fails at its first launch.
///
/// A failing device causes no exception, and the probes after a failed one still run. CUDA errors may be sticky: for
/// GPUs call these functions in a separate process (probe_process.h). They set LibTorch's thread count to 1 while they
/// run, so do not run other work at the same time.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "check/facts.h"

namespace trainyard {

/// Called with each probe's name before it runs, and with each result.
struct ProbeListener {
  std::function<void(const std::string& name)> starting;
  std::function<void(const ProbeFacts& result)> done;
};

/// Runs the probes of one device in order: elementwise, matrix product and convolution in fp32 and bf16, on a GPU also
/// in fp16, each compared with the CPU in double precision; on a GPU Trainyard's own kernel comes first. On a GPU,
/// `full` adds copies from host memory with their speed, pinned and pageable, and writes and reads back up to half of
/// the free memory. `device` is "cpu" or "cuda:N". (probes_torch.cpp)
void run_probes(const std::string& device, bool full, const ProbeListener& listener);

/// Runs the probes of several GPUs, at least two, together: copies between each pair, and an all-reduce by NCCL, with
/// checks of the values and the speed. (probes_group_torch.cpp)
void run_group_probes(const std::vector<int>& devices, const ProbeListener& listener);

/// Runs the probes of the GPU, or, for several, the group probes. (check_torch.cpp)
using GpuProbes = std::function<void(const std::vector<int>& devices, bool full, const ProbeListener& listener)>;
void run_gpu_probes(const std::vector<int>& devices, bool full, const ProbeListener& listener);

/// Computes y[i] = x[i] * x[i] + 1 on a GPU. Returns CUDA's error message, empty on success.
using SquarePlusOne = std::function<std::string(int device, const std::vector<float>& x, std::vector<float>& y)>;

/// The probe of one kernel; tests pass wrong ones. (probes_torch.cpp)
ProbeFacts probe_kernel(int device, const SquarePlusOne& kernel);

// These use only the CUDA runtime (cuda/probes.cu); a build without CUDA finds no GPU (no_cuda.cpp).

/// Whether this program was built with its own CUDA kernels.
bool has_own_kernels();

/// SquarePlusOne, by Trainyard's own kernel.
std::string square_plus_one(int device, const std::vector<float>& x, std::vector<float>& y);

/// Free memory of GPU `device` in bytes; creates a context on it. 0 on failure.
std::uint64_t free_device_memory(int device);

/// Whether GPU `device` can access the memory of GPU `other` directly, without the host's memory.
bool can_access_peer(int device, int other);

}  // namespace trainyard
