/// What the values of a manifest may be. A right checksum does not make a manifest trustworthy.
#pragma once

#include <cstdint>
#include <string_view>

#include "checkpoint/manifest.h"

namespace trainyard {

/// Largest count: a double, which JSON readers take numbers for, holds all whole numbers up to it.
inline constexpr std::int64_t most_count = std::int64_t{1} << 53;

/// Throws RunError that names `path`, the key, the value and what is allowed, unless every value of `manifest` is in
/// its range and fits the others. What depends on the run (its epochs, its batches) is not judged.
void check_manifest(const Manifest& manifest, std::string_view path);

}  // namespace trainyard
