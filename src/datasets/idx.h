/// Reads IDX files, the format of MNIST and its family: a magic number (0, 0, element type, rank), one big-endian
/// 32-bit extent per dimension, then the elements. Files may be gzipped, which is determined from the content.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "util/system.h"

namespace trainyard {

/// An array of unsigned bytes, last dimension fastest.
struct IdxArray {
  std::vector<std::size_t> dims;
  Mapping memory;  ///< of the values
  std::span<const std::byte> values;

  /// Offset of values[i] in the (uncompressed) file, for errors.
  std::size_t offset_of(std::size_t i) const { return 4 + 4 * dims.size() + i; }
};

/// Reads an IDX file of unsigned bytes. `expected` gives its rank and extents; an extent of 0 allows any from 1 up.
/// Memory is allocated for what the file actually contains, never for what its header claims; at most 1 GiB of elements
/// are read. Throws RunError "idx" with the file, the offset and what was expected. Offsets count uncompressed bytes.
IdxArray read_idx(const std::string& path, const std::vector<std::size_t>& expected);

}  // namespace trainyard
