#include "datasets/dataset.h"

#include "datasets/collate.h"
#include "util/error.h"
#include "util/printable.h"

namespace trainyard {

std::int64_t Dataset::rows(std::size_t field, std::size_t /*index*/) const { return fields()[field].shape[0]; }

void Dataset::collate(std::size_t /*field*/, std::span<const std::int64_t> rows, std::span<std::int64_t> begins) const {
  pad(rows, begins);
}

const std::vector<std::string>& Dataset::class_names() const {
  static const std::vector<std::string> none;
  return none;
}

std::vector<std::uint64_t> Dataset::class_counts_among(std::span<const std::uint64_t> indices) const {
  std::vector<std::uint64_t> counts(class_names().size());
  for (const std::uint64_t index : indices) {
    const std::optional<std::uint64_t> label = stratum(index);
    if (!label || *label >= counts.size()) return {};
    ++counts[*label];
  }
  return counts;
}

void require_filled(const Dataset& dataset, std::size_t index, const Sample& sample) {
  const std::vector<Field>& fields = dataset.fields();
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (sample.is_filled(i)) continue;
    throw RunError("data",
                   "read() has not filled the field {} of sample {}: a dataset fills all fields(), each with its type",
                   fields[i].name, index);
  }
}

void check_values(const Dataset& dataset, std::size_t index, std::size_t place, const Field& field,
                  std::span<const std::byte> elements) {
  const std::string error = values_error(field, elements);
  if (!error.empty()) throw RunError("data", "{}: {}", printable(dataset.image_name(place, index)), error);
}

void read_sample(const Dataset& dataset, std::size_t index, Sample& sample, RandomStream random) {
  const std::vector<Field>& fields = dataset.fields();
  sample.begin(fields.size());
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (fields[i].is_stored_image) {
      sample.expect_image(i);
    } else {
      const std::size_t rows = fields[i].varies ? static_cast<std::size_t>(dataset.rows(i, index)) : 1;
      sample.expect(i, rows * fields[i].row_bytes());
    }
  }
  dataset.read(index, random, sample);
  require_filled(dataset, index, sample);
}

std::string Dataset::name(std::size_t index) const { return std::to_string(index); }

std::string Dataset::image_name(std::size_t /*field*/, std::size_t index) const { return name(index); }

const char* to_string(Split split) {
  constexpr std::array names = {"train", "val", "test"};
  return names[static_cast<std::size_t>(split)];
}

std::unique_ptr<Dataset> make_dataset(const DataConfig& config, Split split) {
  return DatasetRegistry::make(config.name, config, split);
}

}  // namespace trainyard
