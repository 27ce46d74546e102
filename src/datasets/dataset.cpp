#include "datasets/dataset.h"

#include <numeric>

#include "datasets/collate.h"

namespace trainyard {

std::size_t SampleSpec::elements() const {
  return std::accumulate(shape.begin(), shape.end(), std::size_t{1},
                         [](std::size_t n, std::int64_t extent) { return n * static_cast<std::size_t>(extent); });
}

std::int64_t Dataset::rows(std::size_t /*index*/) const { return spec().shape[0]; }

void Dataset::collate(std::span<const std::int64_t> rows, std::span<std::int64_t> begins) const { pad(rows, begins); }

std::string Dataset::name(std::size_t index) const { return std::to_string(index); }

const char* to_string(Split split) {
  constexpr std::array names = {"train", "val", "test"};
  return names[static_cast<std::size_t>(split)];
}

std::unique_ptr<Dataset> make_dataset(const DataConfig& config, Split split) {
  return DatasetRegistry::make(config.name, config, split);
}

}  // namespace trainyard
