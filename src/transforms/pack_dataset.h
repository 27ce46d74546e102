/// Converts any dataset to a packed file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "datasets/dataset.h"
#include "util/atomic_file.h"
#include "util/stop_token.h"

namespace trainyard {

/// How records are stored.
enum class PackAs : std::uint8_t {
  keep,  ///< image files unchanged, anything else as its elements
  jpeg,  ///< images, encoded as JPEG
  raw    ///< elements: for images, their pixels
};

struct PackOptions {
  PackAs as = PackAs::keep;
  std::vector<std::string> transforms;  ///< applied once, before packing; random ones as in epoch 0
  int quality = 90;                     ///< of JPEGs, 1 to 100
  int workers = 0;                      ///< processes that produce the records; 0: this one
  StopToken stop{};                     ///< looked at before each sample
};

/// Throws UsageError for options that do not suit the samples of `dataset`. Reads none of them.
void require_packable(const Dataset& dataset, const PackOptions& options);

/// Writes all samples of `dataset`, in order, to a packed file at `path`, atomically and with the same bytes for any
/// number of workers. Removes what processes that were killed while packing to `path` left beside it. Throws as
/// require_packable() does, and RunError with the index of a sample that cannot be read or if a stop is requested.
/// REQUIRES, if there are workers, that this process has no other threads, because it forks.
FileDigest pack_dataset(const Dataset& dataset, const PackOptions& options, const std::filesystem::path& path);

}  // namespace trainyard
