/// Summarizes the data of a run before it starts: how much there is, and what is left out.
#pragma once

#include <span>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "loader/split.h"

namespace trainyard {

/// One line: "1200 samples of 3 classes, from 100 (eel) to 800 (cat)"; if val was taken from train, says so.
std::string summary_of(const SplitInfo& split);

/// One line on what loader.sampling = balanced draws from train: "balanced sampling: with replacement, each of 3
/// classes about 400 times per epoch: a sample of eel 4.00 times, one of cat 0.50 times"; empty if it is uniform.
std::string sampling_of(const SplitInfo& train);

/// Warnings about the split called `name`, one per line: the files that are left out (except litter), the classes
/// without samples, and the dataset's own warning.
std::vector<std::string> warnings_about(const std::string& name, const SplitInfo& split);

/// Warnings about fields, one per line: an image whose shape looks like channels x height x width. It is not an error:
/// a signal may be an image of one row, and an image may have many channels.
std::vector<std::string> warnings_about(std::span<const Field> fields);

/// Warns of data.val and data.val_seed if they are set and the data has its own val, so that they have no effect. It is
/// not an error: a packed dataset has its own val, and is otherwise used with the settings of its source.
std::vector<std::string> warnings_about(const DataConfig& config, std::span<const SplitInfo> splits);

/// What to print instead of the test split if there is none; empty if there is one.
std::string note_on_test(std::span<const SplitInfo> splits);

/// {"splits": [{"name", "samples", "from_train", "fields": [{"name", "dtype", "shape", "varies", "stored_image",
/// "values", "ignored"}], "classes": [{"name", "samples"}], "left_out": [{"reason", "count", "first"}]}]}, with the
/// splits in the order of Split. The samples of a class are null if unknown without reading.
nlohmann::ordered_json to_json(std::span<const SplitInfo> splits);

}  // namespace trainyard
