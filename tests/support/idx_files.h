/// Builds IDX files for tests, as bytes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <zlib.h>

#include "util/error.h"

namespace trainyard {

/// Returns an IDX file of the given element type. Its rank is the number of `dims`; `values` need not fit them.
inline std::string idx_file(const std::vector<std::uint32_t>& dims, const std::string& values, char type = 8) {
  std::string bytes{'\0', '\0', type, static_cast<char>(dims.size())};
  for (const std::uint32_t extent : dims) {
    for (const int shift : {24, 16, 8, 0}) bytes += static_cast<char>(extent >> shift & 0xff);
  }
  return bytes + values;
}

/// Returns `bytes` compressed as a gzip file.
inline std::string gzip(const std::string& bytes) {
  z_stream stream{};
  deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string packed(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  const int result = deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  if (result != Z_STREAM_END) throw RunError("gzip", "deflate gave {}", result);
  return packed;
}

}  // namespace trainyard
