#include "training/device_loader.h"

namespace trainyard {

RegisteredMemory::RegisteredMemory(std::span<std::byte>) {}
RegisteredMemory::~RegisteredMemory() = default;

}  // namespace trainyard
