#include "datasets/read_file.h"

#include "util/error.h"
#include "util/system.h"

namespace trainyard {
namespace {

constexpr const char* where = "image";
constexpr std::uint64_t max_size = std::uint64_t{1} << 30;

}  // namespace

std::span<const std::byte> read_whole_file(const std::string& path, Scratch& scratch) {
  const UniqueFd fd = open_regular_file(path, where);
  const std::uint64_t size = regular_file_size(fd.get(), where, path);
  if (size > max_size) throw RunError(where, "{} has {} bytes, at most {} are read", path, size, max_size);
  const std::span<std::byte> bytes = scratch.take(size);
  return bytes.first(read_at(fd.get(), bytes, 0, where, path));  // fewer if truncated; the decoder reports it
}

}  // namespace trainyard
