/// Lists the samples in a folder of tar shards.
#pragma once

#include <filesystem>
#include <optional>

#include "datasets/dataset.h"
#include "datasets/file_index.h"

namespace trainyard {

/// Returns the samples of a split from <root>/<train, val or test>/*.tar, in the order of the shards' names; nullopt if
/// val or test has no folder. The result is cached between runs. Its first sources are the shards. The class names are
/// the lines of <root>/classes.txt, or else the classes' numbers. Litter and files with other names next to the shards
/// are left out, and what add_shard_samples() leaves out. Throws UsageError "data.root" if there are no shards, no
/// samples or too few names; RunError if a class number is far above the number of existing classes, and as
/// add_shard_samples() does.
std::optional<FileIndex> index_shards(const std::filesystem::path& root, Split split);

}  // namespace trainyard
