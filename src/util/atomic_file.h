/// Files and links that are there whole or not at all, also after a crash or a power cut.
/// All functions throw RunError and may be called from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string_view>

#include "util/system.h"

namespace trainyard {

/// What a file holds, in brief.
struct FileSum {
  std::uint64_t bytes = 0;
  std::uint32_t crc32 = 0;  ///< zlib's
  bool operator==(const FileSum&) const = default;
};

/// zlib's CRC-32 of `bytes`; of a longer text when `so_far` is the CRC of what came before.
std::uint32_t crc32_of(std::span<const std::byte> bytes, std::uint32_t so_far = 0);

/// A new file being written, in order.
class FileWriter {
 public:
  /// Creates `path`, which must not exist.
  explicit FileWriter(const std::filesystem::path& path);

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }

  /// Flushes the content to the disk and closes the file.
  FileSum finish();

 private:
  std::filesystem::path path_;
  UniqueFd fd_;
  FileSum sum_;
};

/// Writes a file under a temporary name in the same folder, flushes it, renames it to `path` and flushes the folder.
/// When anything fails, `fill` included, the temporary is removed and what was at `path` stays. One writer a path.
FileSum write_file_atomically(const std::filesystem::path& path, const std::function<void(FileWriter&)>& fill);

/// Makes `link` a symbolic link to `target` (as it is to be read from the link's folder), replacing one that is there.
void replace_link_atomically(const std::filesystem::path& link, const std::filesystem::path& target);

/// Makes a folder and the parents it lacks; each of them is on the disk when this returns.
void make_folders(const std::filesystem::path& folder);

/// Flushes a folder's entries to the disk: a rename counts only after this. A file system that cannot is warned about
/// once a process.
void fsync_directory(const std::filesystem::path& folder);

}  // namespace trainyard
