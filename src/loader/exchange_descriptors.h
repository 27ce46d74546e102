/// Gives every rank of a host a duplicate of one file descriptor of each rank.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "util/system.h"

namespace trainyard {

/// The ranks of this host, which share one network namespace. The default is a single rank.
struct HostGroup {
  int rank = 0;
  int count = 1;
  double timeout_seconds = 60;  ///< how long to wait for another rank
  /// Returns the text of each rank, in rank order. All ranks call it, in the same order; null for a single rank.
  std::function<std::vector<std::string>(const std::string& text)> all_gather{};
};

/// Returns the `descriptor` of each rank, in rank order; this rank's own is a duplicate, too. All ranks call it.
/// Processes of other users are ignored. Throws RunError if a rank sends nothing in time.
std::vector<UniqueFd> exchange_descriptors(int descriptor, const HostGroup& group);

}  // namespace trainyard
