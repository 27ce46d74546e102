/// From any dataset to a packed file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "datasets/dataset.h"
#include "util/atomic_file.h"

namespace trainyard {

/// How records are kept.
enum class PackAs : std::uint8_t {
  keep,  ///< picture files as they are, anything else as its elements
  jpeg,  ///< pictures, encoded
  raw    ///< elements: for pictures, their pixels
};

struct PackOptions {
  PackAs as = PackAs::keep;
  std::vector<std::string> transforms;  ///< done once, before packing; with epoch 0 where they are random
  int quality = 90;                     ///< of JPEGs, 1 to 100
  int workers = 0;                      ///< processes that make the records; 0: this one
};

/// Writes all samples of `dataset`, in their order, to a packed file at `path`: whole or not at all, and the same bytes
/// for any number of workers. Throws UsageError for options that do not suit the samples, RunError for a sample that
/// cannot be read, with its number. REQUIRES, with workers, that this process has no other threads: it forks.
FileSum pack_dataset(const Dataset& dataset, const PackOptions& options, const std::filesystem::path& path);

}  // namespace trainyard
