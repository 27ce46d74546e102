/// Formats the output of `trainyard --version`.
#pragma once

#include <string>

namespace trainyard {

/// Several lines: Trainyard's version, LibTorch, CUDA, cuDNN and NCCL as loaded, the compiler, the architectures that
/// LibTorch and Trainyard's kernels were compiled for. (version_torch.cpp)
std::string version_text();

}  // namespace trainyard
