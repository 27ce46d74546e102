/// What the tensors of a run hold, and what becomes of it.
#pragma once

#include <cstdint>
#include <memory>

#include <c10/util/ThreadLocalDebugInfo.h>

#include "util/torch.h"

namespace trainyard {

/// Most bytes of GPU memory that tensors have held at once in this process; 0 on the CPU. Does not wait for the GPU.
std::uint64_t peak_gpu_memory(at::Device device);

/// While one lives, counts the bytes that tensors on `device` hold more than when it was made, in this thread and in
/// autograd's for it.
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

/// Lets the C library keep what this process frees, for good. A step on the CPU takes and gives back the same tensors
/// over and over; pages that went back to the kernel in between have to be cleared again, a fifth of a small net's
/// step. For the process that trains, after it has forked the loader.
void keep_freed_memory();

}  // namespace trainyard
