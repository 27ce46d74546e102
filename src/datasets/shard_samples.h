/// Lists the samples in one tar shard in WebDataset's layout.
#pragma once

#include <cstdint>
#include <string>

#include "datasets/file_index.h"

namespace trainyard {

/// Maximum class number in a shard.
inline constexpr std::uint32_t max_shard_label = 999'999;

/// Adds the samples of an open shard, which is the last of index.sources, to `index`, and everything it leaves out to
/// index.left_out.
///
/// As in WebDataset, a member's key ends at the first dot after its last slash, and the rest is its extension
/// ("a/0001.seg.png": key "a/0001", extension "seg.png"). Consecutive members with the same key form a sample: the
/// extension jpg, jpeg or png (in any case) is its image, and cls its class, a number in text. Names that begin with
/// "__...__" describe the shard.
///
/// Litter, other extensions, samples without the image or the class, and samples whose key was meant to contain a dot
/// are left out. Throws RunError with the shard and the sample if the class is not a number up to max_shard_label, if a
/// sample has two images or classes or occurs twice, and if its parts are not consecutive, because WebDataset would
/// lose it. Throws as read_tar() does.
void add_shard_samples(FileIndex& index, int file);

}  // namespace trainyard
