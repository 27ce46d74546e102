/// Keeps the samples of a split with the greatest losses.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

namespace trainyard {

/// Keeps the `most` entries with the greatest losses, greatest first; among equal losses, the earliest first. NaN
/// counts as greater than any number.
template <typename Entry>
class Worst {
 public:
  explicit Worst(std::size_t most) : most_(most) {}

  /// Whether an entry with this loss would be kept.
  bool takes(double loss) const {
    return entries_.size() < most_ || (most_ > 0 && is_greater(loss, entries_.back().first));
  }

  void add(double loss, Entry entry) {
    const auto place =
        std::find_if(entries_.begin(), entries_.end(), [&](const auto& e) { return is_greater(loss, e.first); });
    entries_.insert(place, {loss, std::move(entry)});
    if (entries_.size() > most_) entries_.pop_back();
  }

  std::vector<Entry> take() {
    std::vector<Entry> result;
    for (auto& [loss, entry] : entries_) result.push_back(std::move(entry));
    entries_.clear();
    return result;
  }

 private:
  static bool is_greater(double a, double b) { return std::isnan(a) ? !std::isnan(b) : a > b; }

  std::size_t most_;
  std::vector<std::pair<double, Entry>> entries_;
};

}  // namespace trainyard
