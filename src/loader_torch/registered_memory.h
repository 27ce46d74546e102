/// Pins the loader's memory for fast copies to the GPU.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

namespace trainyard {

/// Registers the loader's arena with CUDA for the lifetime of this object, so that copies from it are asynchronous and
/// run at full speed. Registers nothing for an empty span. If registration fails (a low memlock limit), copies still
/// work but are slower, and one warning says so.
class RegisteredMemory {
 public:
  explicit RegisteredMemory(std::span<std::byte> memory);

 private:
  std::shared_ptr<void> registered_;  ///< its deleter takes the registration back
};

}  // namespace trainyard
