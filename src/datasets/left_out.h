/// What a dataset does not read: what lies among its data and is no sample of it, by reason.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace trainyard {

struct LeftOut {
  std::string reason;              ///< "dangling link", "unread format WebP"
  std::uint64_t count = 0;         ///< how many
  std::vector<std::string> first;  ///< the names of the first of them, as they are on disk; at most most_named
  bool operator==(const LeftOut&) const = default;

  static constexpr std::size_t most_named = 3;
};

/// The reason of what is_litter() (datasets/litter.h) ignores. It is counted, and nobody is warned about it.
inline constexpr std::string_view litter_reason = "litter";

/// The reason of members of tar files that no sample needs, e.g. captions. They are counted, and nobody is warned.
inline constexpr std::string_view unneeded_reason = "not needed";

/// What is left out but for litter and what is not needed, with counts and first names, printable: "unread format
/// WebP: 2 (a/b.webp, a/c.webp); dangling link: 1 (a/d.jpg)"; empty if there is nothing.
std::string list_left_out(std::span<const LeftOut> all);

/// Adds one to the reason's entry in `all`, which is made if it is not there.
void leave_out(std::vector<LeftOut>& all, std::string_view reason, std::string_view name);

}  // namespace trainyard
