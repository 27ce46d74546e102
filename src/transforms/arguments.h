/// What is written in brackets behind a transform's name: `random_crop(padding=4)`.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "util/random.h"

namespace trainyard {

/// Numbers from `low` to `high`.
struct Range {
  double low;
  double high;
  double draw(RandomStream& random) const { return low + random.uniform() * (high - low); }
};

/// The arguments of one transform. Its factory asks for each by name, with its default and what is allowed; each of
/// these functions throws UsageError "transform" for a value that is not.
class TransformArguments {
 public:
  TransformArguments(std::string transform, std::map<std::string, std::string> given)
      : transform_(std::move(transform)), given_(std::move(given)) {}

  const std::string& transform() const { return transform_; }
  bool has(const std::string& key) const { return given_.contains(key); }

  /// A number from `low` to `high`, both included.
  double number(const std::string& key, double standard, double low, double high);
  /// A whole number from `low` to `high`.
  std::int64_t whole(const std::string& key, std::int64_t standard, std::int64_t low, std::int64_t high);
  /// `name`_min and `name`_max, both within `allowed`, the first not over the second.
  Range range(const std::string& name, const Range& standard, const Range& allowed);
  /// One of `allowed`, the first of which is the default.
  std::string word(const std::string& key, const std::vector<std::string>& allowed);

  /// Throws UsageError that lists what the transform has, where something is given that nobody has asked for.
  void refuse_unknown() const;

 private:
  std::string transform_;
  std::map<std::string, std::string> given_;
  std::vector<std::pair<std::string, std::string>> asked_;  ///< key, default
};

/// Reads "name" or "name(key=value, ...)", values being numbers or words. Throws UsageError.
TransformArguments parse_transform(const std::string& text);

}  // namespace trainyard
