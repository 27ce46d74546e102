/// Records the files and entries that a dataset leaves out because they are not samples, by reason.
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
  std::vector<std::string> first;  ///< the names of the first ones, as on disk; at most max_named
  bool operator==(const LeftOut&) const = default;

  static constexpr std::size_t max_named = 3;
};

/// The reason for files that is_litter() (datasets/litter.h) ignores. They are counted without a warning.
inline constexpr std::string_view litter_reason = "litter";

/// The reason for members of tar files that no sample needs, e.g. captions. They are counted without a warning.
inline constexpr std::string_view unneeded_reason = "not needed";

/// Lists what is left out, except litter and what is not needed, with counts and first names, printable: "unread format
/// WebP: 2 (a/b.webp, a/c.webp); dangling link: 1 (a/d.jpg)". Empty if there is nothing to list.
std::string list_left_out(std::span<const LeftOut> all);

/// Increments the reason's entry in `all`, adding it if it is missing.
void leave_out(std::vector<LeftOut>& all, std::string_view reason, std::string_view name);

}  // namespace trainyard
