#include "datasets/splits.h"

#include <algorithm>

#include "datasets/stored_images.h"
#include "datasets/subset.h"
#include "datasets/validation_split.h"
#include "util/error.h"

namespace trainyard {

namespace {

// Throws UsageError for settings of image files that `train` does not follow, because it has none.
void require_image_files(const Dataset& train, const DataConfig& config) {
  const DataConfig defaults;
  const auto refuse = [&](const char* key, const auto& value, const auto& initial) {
    throw UsageError(key, "is {}, but has an effect only on image files, and the samples of {} are {}; set it to {}",
                     value, config.name, describe(train.fields()), initial);
  };
  const auto has_channels = [&](const Field& field) { return field.is_image() && field.shape[2] == config.channels; };
  if (config.channels != defaults.channels && std::ranges::none_of(train.fields(), has_channels)) {
    refuse("data.channels", config.channels, defaults.channels);
  }
  const ImageOptions wanted = image_options(config);
  const ImageOptions used = train.decoding();
  if (used.max_pixels != wanted.max_pixels) refuse("data.max_pixels", config.max_pixels, defaults.max_pixels);
  if (used.upright != wanted.upright) {
    refuse("data.exif_orientation", config.exif_orientation, defaults.exif_orientation);
  }
}

std::unique_ptr<Dataset> make_train(const DataConfig& config) {
  std::unique_ptr<Dataset> train = make_dataset(config, Split::train);
  require_image_files(*train, config);
  return train;
}

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
  std::unique_ptr<Dataset> train = make_train(config);
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
    if (split == Split::train) return {make_train(config)};
    const bool from_train = val->is_taken_from_train();
    return {std::move(val), from_train};
  }
  return std::move(divided(make_train(config), config).at(static_cast<std::size_t>(split)));
}

}  // namespace trainyard
