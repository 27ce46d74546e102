/// Validates the values of a manifest. A correct checksum does not make a manifest trustworthy.
#pragma once

#include <cstdint>
#include <string_view>

#include "checkpoint/manifest.h"

namespace trainyard {

/// The largest count: a double, which JSON readers use for numbers, represents all integers up to it.
inline constexpr std::int64_t max_count = std::int64_t{1} << 53;

/// Throws RunError that names `path`, the key, the value and what is allowed, unless every value of `manifest` is in
/// range and consistent with the others. Does not check what depends on the run (its epochs, its batches).
void check_manifest(const Manifest& manifest, std::string_view path);

}  // namespace trainyard
