/// Limits the memory that a model may allocate while it is created.
#pragma once

#include <cstddef>
#include <string>

namespace trainyard {

/// During its lifetime, this thread may allocate at most `bytes` bytes of CPU tensors in total, including tensors that
/// have been freed since; beyond that, throws RunError "model" that names `origin`, the file that describes the model.
/// Tensors may outlive it. At most one at a time.
///
/// For models described by a file: otherwise a few bytes of text could allocate all available memory.
class MemoryBound {
 public:
  MemoryBound(std::size_t bytes, std::string origin);
  ~MemoryBound();
  MemoryBound(const MemoryBound&) = delete;
  MemoryBound& operator=(const MemoryBound&) = delete;
};

}  // namespace trainyard
