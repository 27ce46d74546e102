/// What a dataset of many files is made of: found once, kept between runs, found anew when something has changed.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "datasets/left_out.h"

struct stat;  // NOLINT(readability-identifier-naming): the system names it

namespace trainyard {

/// A list of pictures, each a whole file or a piece of one.
struct FileIndex {
  /// A file or folder that the index was made from: it is good for as long as these have not changed.
  struct Source {
    std::string path;
    std::int64_t modified_ns = 0;
    std::uint64_t size = 0;  ///< of a file
    std::int64_t changed_ns = 0;
    std::uint64_t inode = 0;  ///< 0: there was nothing, or it could not be asked
    bool operator==(const Source&) const = default;
  };
  /// The same of many files, summed up.
  struct Files {
    std::uint64_t key = 0;
    std::int64_t newest_ns = 0;  ///< when the last of them was modified
    void add(const struct stat& status);
    bool operator==(const Files&) const = default;
  };
  struct Entry {
    std::uint64_t offset = 0;  ///< of its bytes in the file
    std::uint64_t size = 0;    ///< in bytes
    std::uint64_t name = 0;    ///< where its name begins in `names`
    std::uint32_t file = 0;    ///< which of `sources` it is a piece of; unused where it is a file of its own
    std::uint32_t label = 0;   ///< its class
    bool operator==(const Entry&) const = default;
  };

  std::vector<Source> sources;
  std::vector<std::string> class_names;
  std::vector<Entry> entries;
  std::string names;  ///< of all entries, each ended by a zero byte
  std::vector<LeftOut> left_out;
  /// If entries are files of their own: the folder that their names begin in, and their state. They count as sources.
  std::string folder;
  Files files;

  void add(const std::string& name, Entry entry);
  const char* name_of(std::size_t entry) const { return names.c_str() + entries[entry].name; }
  /// How many entries each class has.
  std::vector<std::uint64_t> class_counts() const;
  /// Of names, sizes, places and labels; not of folders' or files' times, so that a copy has the same.
  std::uint64_t fingerprint() const;
  bool operator==(const FileIndex&) const = default;
};

/// What `path` is like now.
FileIndex::Source source_of(const std::string& path);

/// The index called `key`: from the user's cache folder ($XDG_CACHE_HOME or ~/.cache, trainyard/index) if each of its
/// sources still has the same size, times and inode, else from `make`, and kept there if that folder can be written. A
/// file's time tells no two changes within a moment apart: what was made from sources that young is not kept.
FileIndex cached_index(const std::string& key, const std::function<FileIndex()>& make);

/// The index as a file: a magic number, a checksum, then the content (file_index.cpp).
std::vector<std::byte> encode_index(const FileIndex& index, const std::string& key);
/// Throws RunError "index" for anything else than what encode_index made under this key.
FileIndex decode_index(std::span<const std::byte> file, const std::string& key);

}  // namespace trainyard
