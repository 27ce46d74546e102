/// Pinned memory of the loader.
#pragma once

#include <cstddef>
#include <span>

namespace trainyard {

/// Registers the loader's arena with CUDA, so that copies from it are asynchronous and run at full speed, for as long
/// as this lives; an empty span registers nothing. Where that fails (a low memlock limit) copies still work, slower;
/// one warning says so.
class RegisteredMemory {
 public:
  explicit RegisteredMemory(std::span<std::byte> memory);
  ~RegisteredMemory();
  RegisteredMemory(const RegisteredMemory&) = delete;
  RegisteredMemory& operator=(const RegisteredMemory&) = delete;

 private:
  void* address_ = nullptr;
};

}  // namespace trainyard
