#include "datasets/validation_split.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "util/error.h"
#include "util/random.h"

namespace trainyard {
namespace {

/// The samples of one class, and how many of them to take.
struct Stratum {
  std::vector<std::uint64_t> samples;
  std::uint64_t taken = 0;
  double remainder = 0;

  bool has_more() const { return taken + 1 < samples.size(); }
};

std::vector<Stratum> gathered(std::span<const std::uint64_t> classes) {
  std::map<std::uint64_t, Stratum> strata;  // sorted by class
  for (std::uint64_t index = 0; index < classes.size(); ++index) strata[classes[index]].samples.push_back(index);
  std::vector<Stratum> result;
  for (auto& [label, stratum] : strata) result.push_back(std::move(stratum));
  return result;
}

std::uint64_t wanted_of(double val, std::size_t samples) {
  if (val >= 1) return static_cast<std::uint64_t>(val);
  return std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::llround(val * static_cast<double>(samples))));
}

void share_out(std::uint64_t wanted, std::size_t samples, std::vector<Stratum>& strata) {
  std::uint64_t left = wanted;
  for (Stratum& stratum : strata) {
    const double quota =
        static_cast<double>(wanted) * static_cast<double>(stratum.samples.size()) / static_cast<double>(samples);
    stratum.taken = std::min(static_cast<std::uint64_t>(quota), stratum.samples.size() - 1);
    stratum.remainder = quota - std::floor(quota);
    left -= stratum.taken;
  }
  std::vector<Stratum*> order;
  for (Stratum& stratum : strata) order.push_back(&stratum);
  std::stable_sort(order.begin(), order.end(), [](auto* a, auto* b) { return a->remainder > b->remainder; });
  while (left > 0) {
    for (Stratum* const stratum : order) {
      if (left == 0) break;
      if (!stratum->has_more()) continue;
      ++stratum->taken;
      --left;
    }
  }
}

}  // namespace

TrainAndVal take_validation(const Dataset& dataset, double val, std::uint64_t seed) {
  std::vector<std::uint64_t> strata;
  for (std::size_t index = 0; index < dataset.size(); ++index) strata.push_back(dataset.stratum(index).value_or(0));
  return take_validation(strata, val, seed);
}

TrainAndVal take_validation(std::span<const std::uint64_t> classes, double val, std::uint64_t seed) {
  std::vector<Stratum> strata = gathered(classes);
  const std::size_t samples = classes.size();
  if (samples == 0) throw UsageError("data.name", "the training data have no samples");
  const std::uint64_t wanted = wanted_of(val, samples);
  const std::uint64_t most = samples - strata.size();
  if (wanted > most) {
    const std::string kept =
        strata.size() == 1 ? "one is kept" : fmt::format("each of {} classes keeps one", strata.size());
    throw UsageError("data.val",
                     "takes {} of {} training samples; at most {} can be taken, as {} to learn from: lower it, add "
                     "samples, or give the data a val split",
                     wanted, samples, most, kept);
  }
  share_out(wanted, samples, strata);
  std::vector<bool> is_taken(samples);
  const auto key = [seed](std::uint64_t index) { return key_of({key_of("data.val"), seed, index}); };
  for (Stratum& stratum : strata) {
    const auto end = stratum.samples.begin() + static_cast<std::ptrdiff_t>(stratum.taken);
    std::nth_element(stratum.samples.begin(), end, stratum.samples.end(),
                     [&](std::uint64_t a, std::uint64_t b) { return key(a) < key(b); });
    std::for_each(stratum.samples.begin(), end, [&](std::uint64_t index) { is_taken[index] = true; });
  }
  TrainAndVal parts;
  for (std::uint64_t index = 0; index < samples; ++index) (is_taken[index] ? parts.val : parts.train).push_back(index);
  return parts;
}

}  // namespace trainyard
