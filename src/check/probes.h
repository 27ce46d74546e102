/// Small real computations, because only these tell whether a device works: a card without compiled kernels is listed,
/// has memory, and fails at its first launch.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "check/facts.h"

namespace trainyard {

/// Runs the probes of one device in order: elementwise, matrix product and convolution in fp32 and bf16, each compared
/// with the CPU in double precision; on a GPU Trainyard's own kernel before them. `full` adds, on a GPU, fp16, memory
/// written and read back up to half of what is free, and copies from host memory with their speed.
/// `device` is "cpu" or "cuda:N". `starting` gets each name before its probe, `done` each result. Nothing is thrown for
/// a device that fails; the probes after a failed one still run. A CUDA error may be sticky: for GPUs call this in a
/// process of its own (probe_process.h). LibTorch's thread count is 1 meanwhile: not beside other work.
/// (probes_torch.cpp)
void run_probes(const std::string& device, bool full, const std::function<void(const std::string&)>& starting,
                const std::function<void(const ProbeFacts&)>& done);

/// y[i] = x[i] * x[i] + 1 on GPU `device`, by a kernel of ours and the CUDA runtime alone. Returns CUDA's words for
/// what failed, empty when all went well. Without CUDA in LibTorch it always fails. (probes_cuda.cu,
/// probes_cpu_only.cpp)
std::string square_plus_one(int device, const std::vector<float>& x, std::vector<float>& y);

/// Bytes free on GPU `device`; makes a context on it. 0 where that fails. (the same files)
std::uint64_t free_device_memory(int device);

}  // namespace trainyard
