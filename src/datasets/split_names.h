/// Recognizes splits under other names than train, val and test.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "datasets/dataset.h"

namespace trainyard {

/// Returns the name of an entry of `root` that is `split` under another usual name, e.g. "valid" or "Val"; empty if
/// there is none. `ending` is that of the files that are splits, e.g. ".csv"; if it is empty, splits are folders.
std::string misnamed_split(const std::filesystem::path& root, Split split, std::string_view ending);

/// For a split that `root` lacks: throws UsageError "data.root" if misnamed_split() returns an entry, which would be
/// ignored silently.
void refuse_misnamed_split(const std::filesystem::path& root, Split split, std::string_view ending);

}  // namespace trainyard
