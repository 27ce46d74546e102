/// The three splits of a run.
#pragma once

#include <memory>
#include <vector>

#include "config/config.h"
#include "datasets/dataset.h"

namespace trainyard {

/// A split as a run uses it.
struct SplitDataset {
  std::unique_ptr<Dataset> dataset;
  bool from_train = false;  ///< val: the data has none of its own, and data.val was taken out of its train
};

/// Train, val and, if the data has it, test, at their places in Split. Val is the data's own, or data.val of train,
/// which is then without these samples (datasets/validation_split.h). Throws what the dataset's factory throws, and
/// UsageError if train is too small to be divided.
std::vector<SplitDataset> make_splits(const DataConfig& config);

/// One of make_splits(); no dataset if it is test and the data has none.
SplitDataset make_split(const DataConfig& config, Split split);

}  // namespace trainyard
