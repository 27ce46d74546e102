/// A file in a tmpfs whose pages many processes can allocate concurrently.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "util/system.h"

namespace trainyard {

/// Acts as one file but consists of up to 16, each of which holds every 16th stripe. The kernel allocates the pages of
/// one file for one process at a time, but those of several files in parallel: eight processes allocate 256 MiB in 60
/// ms from one file and in 24 ms from eight (16 cores of a virtual machine, Linux 6.18). Movable.
class StripedFile {
 public:
  StripedFile() = default;  ///< no file
  /// Creates an unnamed file in `directory` (/dev/shm): `bytes` zeros with no memory reserved, which disappear with the
  /// last process that uses them. Throws RunError.
  StripedFile(const std::string& directory, std::size_t bytes);
  /// From what descriptors() returned in another process. Throws RunError.
  explicit StripedFile(std::vector<UniqueFd> files);

  std::vector<int> descriptors() const;
  /// Maps the whole file, readable and writable, shared between all processes that map it. Throws RunError.
  Mapping map() const;
  /// See reserve() in shared_file.h.
  bool reserve(std::size_t begin, std::size_t bytes) const;

 private:
  struct Part {
    std::size_t file;    ///< index in files_
    std::size_t offset;  ///< in that file
    std::size_t begin;   ///< in the striped file
    std::size_t bytes;
  };
  std::size_t stripe_bytes() const;
  std::vector<Part> parts(std::size_t begin, std::size_t bytes) const;

  std::vector<UniqueFd> files_;
  std::size_t size_ = 0;
};

}  // namespace trainyard
