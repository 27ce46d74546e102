/// Small real computations, because only these tell whether a device works: a card without compiled kernels is listed,
/// has memory, and fails at its first launch.
///
/// Nothing is thrown for a device that fails, and the probes after a failed one still run. A CUDA error may be sticky:
/// for GPUs call these in a process of its own (probe_process.h). LibTorch's thread count is 1 meanwhile: not beside
/// other work.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "check/facts.h"

namespace trainyard {

/// Gets each probe's name before it runs, and each result.
struct ProbeListener {
  std::function<void(const std::string& name)> starting;
  std::function<void(const ProbeFacts& result)> done;
};

/// Runs the probes of one device in order: elementwise, matrix product and convolution in fp32 and bf16, on a GPU in
/// fp16 too, each compared with the CPU in double precision; on a GPU Trainyard's own kernel before them. `full` adds,
/// on a GPU, copies from host memory with their speed, pinned and not, and memory written and read back up to half of
/// what is free. `device` is "cpu" or "cuda:N". (probes_torch.cpp)
void run_probes(const std::string& device, bool full, const ProbeListener& listener);

/// What several GPUs, at least two, do together: copies from each to each, and an all-reduce by NCCL, with their
/// numbers and speed. (probes_group_torch.cpp)
void run_group_probes(const std::vector<int>& devices, const ProbeListener& listener);

/// Computes y[i] = x[i] * x[i] + 1 on a GPU. Returns what failed in CUDA's words, empty when all went well.
using SquarePlusOne = std::function<std::string(int device, const std::vector<float>& x, std::vector<float>& y)>;

/// The probe of one kernel; tests hand in wrong ones. (probes_torch.cpp)
ProbeFacts probe_kernel(int device, const SquarePlusOne& kernel);

// These use the CUDA runtime only (cuda/probes.cu); a build without CUDA finds no GPU (no_cuda.cpp).

/// Whether this program has CUDA kernels of its own.
bool has_own_kernels();

/// The SquarePlusOne that Trainyard's own kernel computes.
std::string square_plus_one(int device, const std::vector<float>& x, std::vector<float>& y);

/// Bytes free on GPU `device`; makes a context on it. 0 where that fails.
std::uint64_t free_device_memory(int device);

/// Whether GPU `device` can read the memory of GPU `other` without going through the host's.
bool can_access_peer(int device, int other);

}  // namespace trainyard
