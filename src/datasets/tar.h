/// The table of contents of a tar file.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace trainyard {

/// A regular file in a tar file.
struct TarMember {
  std::string name;
  std::uint64_t offset;  ///< of its content in the tar file
  std::uint64_t size;
};

/// All regular files in it, in their order: ustar, GNU (long names, large sizes) and pax (path, size); links, folders
/// and the like are passed over. Reads the headers alone. Every member lies inside of `file`. Throws RunError "tar"
/// with `path` and the byte for anything that is not a whole tar file.
std::vector<TarMember> read_tar(std::span<const std::byte> file, const std::string& path);

}  // namespace trainyard
