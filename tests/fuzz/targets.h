/// Everything that reads bytes from outside, as functions of these bytes. None may crash, hang or take memory out of
/// proportion, whatever the bytes are; errors of ours are fine. tests/fuzz/corpus/<name>/ has the bytes to begin with.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>

namespace trainyard {

using FuzzTarget = void (*)(std::span<const std::byte> bytes);

/// By name.
const std::map<std::string, FuzzTarget>& fuzz_targets();

}  // namespace trainyard
