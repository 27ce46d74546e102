/// Feeds bytes from outside to every reader. None may crash, hang or allocate memory out of proportion, whatever the
/// bytes; errors thrown by Trainyard are fine. tests/fuzz/corpus/<name>/ has the initial inputs.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>

namespace trainyard {

using FuzzTarget = void (*)(std::span<const std::byte> bytes);

/// Returns the targets by name.
const std::map<std::string, FuzzTarget>& fuzz_targets();

}  // namespace trainyard
