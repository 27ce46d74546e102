/// Packed files: many records in one file; docs/packed-format.md describes every byte.
///
///     magic | records | index | description (JSON) | trailer
///
/// Little-endian, written from front to back, so that a file that was cut off has no trailer.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "datasets/dataset.h"
#include "images/image.h"
#include "util/atomic_file.h"
#include "util/system.h"

namespace trainyard {

inline constexpr char packed_magic[8] = {'T', 'Y', 'P', 'A', 'C', 'K', 'E', 'D'};
inline constexpr std::uint32_t packed_version = 1;
inline constexpr std::size_t packed_alignment = 64;  ///< of each record and of the index

/// One entry of the index.
struct PackedRecord {
  std::uint64_t offset;  ///< from the beginning of the file
  std::uint64_t size;    ///< bytes
  std::uint32_t crc32;   ///< of the bytes, zlib's
  std::uint32_t label;   ///< below the number of class names
  std::uint32_t height;  ///< pixels; 0 where the shape says it all
  std::uint32_t width;
};
static_assert(sizeof(PackedRecord) == 32);

/// The last bytes of the file.
struct PackedTrailer {
  std::uint64_t records;
  std::uint64_t index_offset;
  std::uint64_t description_offset;
  std::uint64_t description_size;
  std::uint32_t index_crc32;
  std::uint32_t description_crc32;
  std::uint32_t version;
  std::uint32_t crc32;  ///< of the trailer up to here
  char magic[8];
};
static_assert(sizeof(PackedTrailer) == 56);

/// What all records have in common.
struct PackedDescription {
  bool encoded = false;  ///< each record is a JPEG or PNG file, else elements
  Field sample{};        ///< height and width are 0 where they differ, and for files
  std::vector<std::string> class_names;
  std::vector<float> mean;  ///< of each channel, in units of 0..1
  std::vector<float> std;
};

/// An open packed file. Its index and description are in memory and checked: every record lies inside of the file, has
/// the size that its shape needs and a label that has a name. What the records' bytes are is checked by verify() alone.
/// Records are read, not mapped: a file that is cut off or cannot be read meanwhile is an error of that record, and its
/// pages are no part of the readers' memory.
class PackedFile {
 public:
  // Throw RunError "packed" that names `path` for anything that is not whole.
  explicit PackedFile(const std::string& path);
  PackedFile(UniqueFd file, std::string path);

  const std::string& path() const { return path_; }
  std::uint64_t size() const { return size_; }  ///< bytes
  const PackedDescription& description() const { return description_; }
  const std::vector<PackedRecord>& records() const { return records_; }
  /// The bytes of a record into `out`, which has room for exactly these. For many threads and processes at once. Throws
  /// RunError that names the record.
  void read(std::size_t record, std::span<std::byte> out) const;
  /// Of everything: the index has the records' checksums.
  std::uint64_t fingerprint() const;
  /// Reads every record; throws RunError that names the first with another checksum than the index says.
  void verify() const;

 private:
  [[noreturn]] void refuse(std::string_view what) const;
  void read_trailer();
  void read_index();
  void read_description();
  void check_record(std::size_t number) const;

  UniqueFd file_;
  std::string path_;
  std::uint64_t size_;
  PackedTrailer trailer_{};
  PackedDescription description_;
  std::vector<PackedRecord> records_;
};

/// Writes a packed file, record after record.
class PackedWriter {
 public:
  /// Writes into `file`, which must be new and outlive it.
  explicit PackedWriter(FileWriter& file);

  /// `size` of a picture, of elements or as a file; nothing for records of another kind.
  void add(std::span<const std::byte> record, std::optional<ImageSize> size, std::int64_t label);

  /// Writes index, description and trailer. The sample's height and width are taken from the pictures added: 0 where
  /// these differ or are files.
  void finish(PackedDescription description);

 private:
  void write(std::span<const std::byte> bytes);
  void pad();

  FileWriter& file_;
  std::uint64_t written_ = 0;
  std::vector<PackedRecord> records_;
};

}  // namespace trainyard
