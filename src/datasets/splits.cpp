#include "datasets/splits.h"

#include "datasets/subset.h"
#include "datasets/validation_split.h"

namespace trainyard {

std::vector<SplitDataset> make_splits(const DataConfig& config) {
  std::unique_ptr<Dataset> train = make_dataset(config, Split::train);
  std::vector<SplitDataset> splits;
  if (std::unique_ptr<Dataset> val = make_dataset(config, Split::val)) {
    splits.push_back({std::move(train)});
    splits.push_back({std::move(val)});
  } else {
    const std::shared_ptr<const Dataset> whole = std::move(train);
    const TrainAndVal parts = take_validation(*whole, config.val, config.val_seed);
    splits.push_back({subset(whole, parts.train)});
    splits.push_back({subset(whole, parts.val), /*from_train=*/true});
  }
  if (std::unique_ptr<Dataset> test = make_dataset(config, Split::test)) splits.push_back({std::move(test)});
  return splits;
}

SplitDataset make_split(const DataConfig& config, Split split) {
  if (split == Split::test) return {make_dataset(config, Split::test)};
  if (std::unique_ptr<Dataset> val = make_dataset(config, Split::val)) {
    return {split == Split::val ? std::move(val) : make_dataset(config, Split::train)};
  }
  const std::shared_ptr<const Dataset> whole = make_dataset(config, Split::train);
  const TrainAndVal parts = take_validation(*whole, config.val, config.val_seed);
  return {subset(whole, split == Split::val ? parts.val : parts.train), split == Split::val};
}

}  // namespace trainyard
