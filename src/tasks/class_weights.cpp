#include "tasks/class_weights.h"

#include <charconv>
#include <cmath>
#include <functional>
#include <numeric>

#include "util/count_of.h"
#include "util/error.h"
#include "util/printable.h"

namespace trainyard {
namespace {

float number(const std::string& key, const std::string& word) {
  float value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error == std::errc() && end == word.data() + word.size() && std::isfinite(value) && value >= 0) return value;
  throw UsageError(key, "'{}' is not a weight; allowed: balanced, or one number from 0 on for each class",
                   printable(word));
}

// balanced: computes the weight of a class from its number of samples, which is not 0.
at::Tensor weights_of(const std::string& key, const std::vector<std::string>& words, std::int64_t classes,
                      std::span<const std::uint64_t> counts, at::Device device,
                      const std::function<double(double)>& balanced) {
  if (words.empty()) return {};
  std::vector<float> weights;
  if (words == std::vector<std::string>{"balanced"}) {
    if (counts.empty()) {
      throw UsageError(key,
                       "balanced needs the number of samples of each class, which this dataset knows only by "
                       "reading all of them; give one number for each of the {} classes",
                       classes);
    }
    for (const std::uint64_t count : counts) {
      weights.push_back(count == 0 ? 0 : static_cast<float>(balanced(static_cast<double>(count))));
    }
  } else {
    for (const std::string& word : words) weights.push_back(number(key, word));
  }
  if (static_cast<std::int64_t>(weights.size()) != classes) {
    throw UsageError(key, "has {}; the data have {}: give one number for each", count_of(weights.size(), "number"),
                     count_of(classes, "class", "classes"));
  }
  return at::tensor(weights, at::kFloat).to(device);
}

}  // namespace

at::Tensor class_weights(const std::string& key, const std::vector<std::string>& words, std::int64_t classes,
                         std::span<const std::uint64_t> counts, at::Device device) {
  const auto samples = static_cast<double>(std::accumulate(counts.begin(), counts.end(), std::uint64_t{0}));
  at::Tensor weights = weights_of(key, words, classes, counts, device,
                                  [&](double count) { return samples / (count * static_cast<double>(classes)); });
  if (weights.defined() && weights.eq(0).all().item<bool>()) {
    throw UsageError(key, "is 0 for every class, so there is nothing to learn; give a class a weight");
  }
  return weights;
}

at::Tensor positive_weights(const std::string& key, const std::vector<std::string>& words, std::int64_t classes,
                            std::span<const std::uint64_t> counts, std::uint64_t samples, at::Device device) {
  return weights_of(key, words, classes, counts, device,
                    [&](double count) { return (static_cast<double>(samples) - count) / count; });
}

}  // namespace trainyard
