/// The samples in a folder of tar shards.
#pragma once

#include <filesystem>
#include <optional>

#include "datasets/dataset.h"
#include "datasets/file_index.h"

namespace trainyard {

/// The samples of a split, from <root>/<train, val or test>/*.tar, in the order of the shards' names; none if val or
/// test has no folder. Kept between runs. The shards are the first of its sources. Classes have the names in
/// <root>/classes.txt, one a line, or else their numbers. What is left out are litter and files of other names beside
/// the shards, and what add_shard_samples() leaves out.
/// Throws UsageError "data.root" if there are no shards, no samples or too few names; RunError if a class number is far
/// above the number of classes that there are, and as add_shard_samples() does.
std::optional<FileIndex> index_shards(const std::filesystem::path& root, Split split);

}  // namespace trainyard
