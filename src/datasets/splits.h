/// Builds the train, val and test splits of a run.
#pragma once

#include <memory>
#include <vector>

#include "config/config.h"
#include "datasets/dataset.h"

namespace trainyard {

/// A split of a run.
struct SplitDataset {
  std::unique_ptr<Dataset> dataset;
  bool from_train = false;  ///< val: the data has no val split, and data.val was taken from its train
};

/// Returns train, val and, if the data has it, test, indexed by Split. Val is the data's own, or else data.val of
/// train, which then excludes these samples (datasets/validation_split.h). Throws as the dataset's factory does, and
/// UsageError if train is too small to be divided, or if data.channels, data.max_pixels or data.exif_orientation are
/// set and have no effect on it.
std::vector<SplitDataset> make_splits(const DataConfig& config);

/// Returns one of make_splits(); its dataset is null for test if the data has none.
SplitDataset make_split(const DataConfig& config, Split split);

}  // namespace trainyard
