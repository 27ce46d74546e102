#include "loader/samples_by_class.h"

#include <map>

#include "util/error.h"

namespace trainyard {

SamplesByClass::SamplesByClass(const Dataset& dataset) {
  std::map<std::uint64_t, std::vector<std::uint64_t>> by_label;
  for (std::size_t i = 0; i < dataset.size(); ++i) {
    const std::optional<std::uint64_t> label = dataset.stratum(i);
    if (!label) {
      throw UsageError("loader.sampling",
                       "balanced needs the class of each sample before it is read, and this dataset does not know it; "
                       "its samples have {}. Set loader.sampling = uniform, or override Dataset::stratum()",
                       describe(dataset.fields()));
    }
    by_label[*label].push_back(i);
  }
  samples_.reserve(dataset.size());
  for (const auto& [label, samples] : by_label) {
    labels_.push_back(label);
    begins_.push_back(samples_.size());
    samples_.insert(samples_.end(), samples.begin(), samples.end());
  }
  begins_.push_back(samples_.size());
}

}  // namespace trainyard
