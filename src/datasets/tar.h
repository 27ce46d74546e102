/// Reads the table of contents of a tar file.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace trainyard {

/// A regular file in a tar file.
struct TarMember {
  std::string name;
  std::uint64_t offset;  ///< of its content in the tar file
  std::uint64_t size;
};

/// A member that is neither a regular file nor a folder.
struct TarOther {
  std::string name;
  std::string kind;  ///< e.g. "symbolic link"
};

struct TarContents {
  std::vector<TarMember> members;  ///< in file order; a hard link has the content of its target
  std::vector<TarOther> others;    ///< also hard links whose target is not an earlier member
};

/// Reads the headers of an open tar file: ustar, GNU (long names, large sizes) and pax (local and global headers).
/// Every member returned lies within the file. Throws RunError "tar", with `path` and the byte offset, unless the file
/// is complete: it ends with at least one block of zeros, has only zeros after it, and stores every member in one piece
/// (not sparse, not continued in another volume).
TarContents read_tar(int file, const std::string& path);

}  // namespace trainyard
