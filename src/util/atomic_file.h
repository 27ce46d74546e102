/// Writes files and links atomically: after a crash or a power loss each is either complete or absent. All functions
/// throw RunError and may be called from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string_view>

#include "util/system.h"

namespace trainyard {

/// The size and checksum of a file.
struct FileDigest {
  std::uint64_t bytes = 0;
  std::uint32_t crc32 = 0;  ///< zlib's
  bool operator==(const FileDigest&) const = default;
};

/// zlib's CRC-32 of `bytes`. To continue a longer text, pass the CRC of the part before as `so_far`.
std::uint32_t crc32_of(std::span<const std::byte> bytes, std::uint32_t so_far = 0);

/// Writes a new file sequentially.
class FileWriter {
 public:
  /// Creates `path`, which must not exist. Errors name `shown` instead of it, unless that is empty.
  explicit FileWriter(const std::filesystem::path& path, const std::filesystem::path& shown = {});

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }

  /// Flushes the content to the disk and closes the file.
  FileDigest finish();

 private:
  std::filesystem::path path_;
  UniqueFd fd_;
  FileDigest sum_;
};

/// Writes a file under a temporary name in the same folder, flushes it, renames it to `path` and flushes the folder. If
/// anything fails, including `fill`, the temporary file is removed and `path` keeps its old content. Allows one writer
/// per path.
FileDigest write_file_atomically(const std::filesystem::path& path, const std::function<void(FileWriter&)>& fill);

/// Removes the temporary files that processes of this machine left of write_file_atomically() to `path`, when they were
/// killed. Lists the folder, so it is for large files only.
void remove_leftovers(const std::filesystem::path& path);

/// Makes `link` a symbolic link to `target` (relative to the link's folder), replacing an existing link.
void replace_link_atomically(const std::filesystem::path& link, const std::filesystem::path& target);

/// Creates a folder and any missing parents, and flushes each of them to the disk before returning.
void make_folders(const std::filesystem::path& folder);

/// Flushes a folder's entries to the disk; a rename is durable only after this. Warns once per process about a file
/// system that does not support it.
void fsync_directory(const std::filesystem::path& folder);

}  // namespace trainyard
