/// What `trainyard --version` prints.
#pragma once

#include <string>

namespace trainyard {

/// Several lines: our own version, LibTorch, CUDA, cuDNN, NCCL as loaded, the compiler, the architectures LibTorch and
/// our own kernels were compiled for. (version_torch.cpp)
std::string version_text();

}  // namespace trainyard
