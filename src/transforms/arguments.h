/// Parses the arguments in parentheses after a transform's name: `random_crop(padding=4)`.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "util/random.h"

namespace trainyard {

/// The numbers from `low` to `high`.
struct Range {
  double low;
  double high;
  double draw(RandomStream& random) const { return low + random.uniform() * (high - low); }
};

/// The arguments of one transform. Its factory queries each by name, with its default and the allowed values; these
/// functions throw UsageError "transform" for a value that is not allowed.
class TransformArguments {
 public:
  TransformArguments(std::string transform, std::map<std::string, std::string> given)
      : transform_(std::move(transform)), given_(std::move(given)) {}

  const std::string& transform() const { return transform_; }
  bool has(const std::string& key) const { return given_.contains(key); }

  /// A number from `low` to `high`, inclusive.
  double number(const std::string& key, double standard, double low, double high);
  /// An integer from `low` to `high`, inclusive.
  std::int64_t whole(const std::string& key, std::int64_t standard, std::int64_t low, std::int64_t high);
  /// `name`_min and `name`_max, both within `allowed`, with min <= max.
  Range range(const std::string& name, const Range& standard, const Range& allowed);
  /// One of `allowed`, the first of which is the default.
  std::string word(const std::string& key, const std::vector<std::string>& allowed);

  /// Throws UsageError listing the transform's arguments if one was given that has not been queried.
  void refuse_unknown() const;

 private:
  std::string transform_;
  std::map<std::string, std::string> given_;
  std::vector<std::pair<std::string, std::string>> asked_;  ///< key, default
};

/// Parses "name" or "name(key=value, ...)", where values are numbers or words. Throws UsageError.
TransformArguments parse_transform(const std::string& text);

}  // namespace trainyard
