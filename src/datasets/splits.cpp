#include "datasets/splits.h"

#include "datasets/subset.h"
#include "datasets/validation_split.h"

namespace trainyard {

namespace {

// Train and val, where the data has no val of its own.
std::vector<SplitDataset> divided(const std::shared_ptr<const Dataset>& whole, const DataConfig& config) {
  const TrainAndVal parts = take_validation(*whole, config.val, config.val_seed);
  std::vector<SplitDataset> splits;
  splits.push_back({subset(whole, parts.train)});
  splits.push_back({subset(whole, parts.val), /*from_train=*/true});
  return splits;
}

}  // namespace

std::vector<SplitDataset> make_splits(const DataConfig& config) {
  std::unique_ptr<Dataset> train = make_dataset(config, Split::train);
  std::vector<SplitDataset> splits;
  if (std::unique_ptr<Dataset> val = make_dataset(config, Split::val)) {
    splits.push_back({std::move(train)});
    splits.push_back({std::move(val)});
  } else {
    splits = divided(std::move(train), config);
  }
  if (std::unique_ptr<Dataset> test = make_dataset(config, Split::test)) splits.push_back({std::move(test)});
  return splits;
}

SplitDataset make_split(const DataConfig& config, Split split) {
  if (split == Split::test) return {make_dataset(config, Split::test)};
  if (std::unique_ptr<Dataset> val = make_dataset(config, Split::val)) {
    return {split == Split::val ? std::move(val) : make_dataset(config, Split::train)};
  }
  return std::move(divided(make_dataset(config, Split::train), config).at(static_cast<std::size_t>(split)));
}

}  // namespace trainyard
