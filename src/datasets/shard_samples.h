/// The samples in one tar shard of WebDataset's layout.
#pragma once

#include <cstdint>
#include <string>

#include "datasets/file_index.h"

namespace trainyard {

/// Largest class number that a shard may have.
inline constexpr std::uint32_t max_shard_label = 999'999;

/// Adds the samples of an open shard, which is the last of index.sources, to `index`, and what it leaves out to
/// index.left_out.
///
/// As in WebDataset, a member's key ends at the first dot after its last slash, and what follows is its extension
/// ("a/0001.seg.png": key "a/0001", extension "seg.png"). Members in a row with one key are a sample: the extension
/// jpg, jpeg or png (in any case) is its picture, cls its class, a number in text. Names that begin with "__...__"
/// describe the shard.
///
/// Left out are litter, other extensions, samples that lack the picture or the class, and samples whose key was meant
/// to have a dot. Throws RunError with the shard and the sample if the class is no number up to max_shard_label, if a
/// sample has two pictures or classes or is there twice, and if its parts do not follow one another: WebDataset would
/// lose it. Throws as read_tar() does.
void add_shard_samples(FileIndex& index, int file);

}  // namespace trainyard
