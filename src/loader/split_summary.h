/// What is told about the data of a run before it starts: how much there is, and what is left out.
#pragma once

#include <span>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "loader/split.h"

namespace trainyard {

/// One line: "1200 samples of 3 classes, from 100 (eel) to 800 (cat)"; of a val that was taken out of train, that too.
std::string summary_of(const SplitInfo& split);

/// What loader.sampling = balanced draws of train, one line: "balanced sampling: with replacement, each of 3 classes
/// about 400 times per epoch: a sample of eel 4.00 times, one of cat 0.50 times"; empty if it is uniform.
std::string sampling_of(const SplitInfo& train);

/// What a user should know before training on the split called `name`, a line each: the files that are left out (litter
/// is not), the classes without samples.
std::vector<std::string> warnings_about(const std::string& name, const SplitInfo& split);

/// What to say in place of the test split if there is none; empty if there is one.
std::string note_on_test(std::span<const SplitInfo> splits);

/// {"splits": [{"name", "samples", "from_train", "fields": [{"name", "dtype", "shape", "varies", "picture", "values",
/// "ignored"}], "classes": [{"name", "samples"}], "left_out": [{"reason", "count", "first"}]}]}, the splits in the
/// order of Split. Samples of a class are null if they are not known without reading.
nlohmann::ordered_json to_json(std::span<const SplitInfo> splits);

}  // namespace trainyard
