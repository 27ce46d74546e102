/// Caches the list of files of a dataset between runs and rebuilds it if anything has changed.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "datasets/left_out.h"

struct stat;  // NOLINT(readability-identifier-naming): the system names it

namespace trainyard {

/// A list of images, each a whole file or a part of one.
struct FileIndex {
  /// A file or folder from which the index was built: the index is valid as long as these have not changed.
  struct Source {
    std::string path;
    std::int64_t modified_ns = 0;
    std::uint64_t size = 0;  ///< of a file
    std::int64_t changed_ns = 0;
    std::uint64_t inode = 0;  ///< 0: it did not exist or could not be queried
    bool operator==(const Source&) const = default;
  };
  /// The same for many files, combined.
  struct Files {
    std::uint64_t key = 0;
    std::int64_t newest_ns = 0;  ///< the latest modification time
    void add(const struct stat& status);
    bool operator==(const Files&) const = default;
  };
  struct Entry {
    std::uint64_t offset = 0;  ///< of its bytes in the file
    std::uint64_t size = 0;    ///< in bytes
    std::uint64_t name = 0;    ///< offset of its name in `names`
    std::uint32_t file = 0;    ///< index in `sources` of the file that contains it; unused if it is a file itself
    std::uint32_t label = 0;   ///< its class
    bool operator==(const Entry&) const = default;
  };

  std::vector<Source> sources;
  std::vector<std::string> class_names;
  std::vector<Entry> entries;
  std::string names;  ///< of all entries, each NUL-terminated
  std::vector<LeftOut> left_out;
  /// If entries are files themselves: the folder that their names are relative to, and their state. They count as
  /// sources.
  std::string folder;
  Files files;

  void add(const std::string& name, Entry entry);
  const char* name_of(std::size_t entry) const { return names.c_str() + entries[entry].name; }
  /// Returns the number of entries of each class.
  std::vector<std::uint64_t> class_counts() const;
  /// A hash of names, sizes, offsets and labels, but not of modification times, so a copy has the same fingerprint.
  std::uint64_t fingerprint() const;
  bool operator==(const FileIndex&) const = default;
};

/// Returns the current state of `path`.
FileIndex::Source source_of(const std::string& path);

/// Returns the index called `key` from the user's cache folder ($XDG_CACHE_HOME or ~/.cache, trainyard/index) if each
/// of its sources still has the same size, times and inode. Otherwise calls `make` and stores the result there if the
/// folder is writable. Timestamps cannot distinguish two changes in quick succession, so an index of very recent
/// sources is not stored.
FileIndex cached_index(const std::string& key, const std::function<FileIndex()>& make);

/// Serializes the index: a magic number, a checksum, then the content (file_index.cpp).
std::vector<std::byte> encode_index(const FileIndex& index, const std::string& key);
/// Throws RunError "index" unless `file` was written by encode_index with this key.
FileIndex decode_index(std::span<const std::byte> file, const std::string& key);

}  // namespace trainyard
