/// A limit on the memory that a model takes while it is built.
#pragma once

#include <cstddef>
#include <string>

namespace trainyard {

/// While it lives, tensors on the CPU that this thread makes may take `bytes` in all, those that are gone by then
/// included; more throws RunError "model" that names `origin`, which asks for it. Tensors may outlive it. At most one
/// at a time.
///
/// For models that a file asks for: a few bytes of text could otherwise take all the memory there is.
class MemoryBound {
 public:
  MemoryBound(std::size_t bytes, std::string origin);
  ~MemoryBound();
  MemoryBound(const MemoryBound&) = delete;
  MemoryBound& operator=(const MemoryBound&) = delete;
};

}  // namespace trainyard
