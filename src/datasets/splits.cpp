#include "datasets/splits.h"

#include "datasets/subset.h"
#include "datasets/validation_split.h"
#include "util/error.h"

namespace trainyard {

namespace {

// Divides train into train and val, if the data has no val.
std::vector<SplitDataset> divided(const std::shared_ptr<const Dataset>& whole, const DataConfig& config) {
  if (!whole->is_deterministic()) {
    throw UsageError("data.val",
                     "{} draws its samples anew in each epoch, so val cannot be taken out of them: give the "
                     "data a val split",
                     config.name);
  }
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
    const bool from_train = val->is_taken_from_train();
    splits.push_back({std::move(train)});
    splits.push_back({std::move(val), from_train});
  } else {
    splits = divided(std::move(train), config);
  }
  if (std::unique_ptr<Dataset> test = make_dataset(config, Split::test)) splits.push_back({std::move(test)});
  return splits;
}

SplitDataset make_split(const DataConfig& config, Split split) {
  if (split == Split::test) return {make_dataset(config, Split::test)};
  if (std::unique_ptr<Dataset> val = make_dataset(config, Split::val)) {
    if (split == Split::train) return {make_dataset(config, Split::train)};
    const bool from_train = val->is_taken_from_train();
    return {std::move(val), from_train};
  }
  return std::move(divided(make_dataset(config, Split::train), config).at(static_cast<std::size_t>(split)));
}

}  // namespace trainyard
