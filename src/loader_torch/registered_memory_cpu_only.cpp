#include "loader_torch/registered_memory.h"

namespace trainyard {

RegisteredMemory::RegisteredMemory(std::span<std::byte>) {}
RegisteredMemory::~RegisteredMemory() = default;

}  // namespace trainyard
