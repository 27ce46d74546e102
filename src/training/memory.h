/// Measures the memory that tensors hold, and tunes how the process frees memory.
#pragma once

#include <cstdint>
#include <memory>

#include <c10/util/ThreadLocalDebugInfo.h>

#include "util/torch.h"

namespace trainyard {

/// Peak bytes of GPU memory allocated by tensors in this process; 0 on the CPU. Does not wait for the GPU.
std::uint64_t peak_gpu_memory(at::Device device);

/// Bytes of a GPU that no process has allocated; 0 in a build without CUDA. REQUIRES that `device` is a GPU.
std::uint64_t free_gpu_memory(at::Device device);

/// During its lifetime, counts the bytes that tensors on `device` hold beyond those held at construction, in this
/// thread and in the autograd threads that work for it.
class MemoryCount {
 public:
  explicit MemoryCount(at::Device device);
  ~MemoryCount();
  MemoryCount(const MemoryCount&) = delete;
  MemoryCount& operator=(const MemoryCount&) = delete;

  std::int64_t now() const;
  std::int64_t peak() const;

 private:
  class Counter;
  std::shared_ptr<Counter> counter_;
  c10::DebugInfoGuard guard_;
};

/// Makes the C library keep freed memory in this process permanently. A step on the CPU allocates and frees the same
/// tensors again and again; if pages return to the kernel in between, the kernel must clear them each time, which takes
/// a fifth of a small net's step. Call it in the training process after the loader has been forked.
void keep_freed_memory();

}  // namespace trainyard
