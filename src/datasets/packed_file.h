/// Packed files: many samples in one file; docs/packed-format.md describes every byte.
///
///     magic | records | index | description (JSON) | trailer
///
/// Little-endian, written from front to back, so that a file that was cut off has no trailer. Version 2 is written;
/// version 1, of one field and a label, is read as well.
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
inline constexpr std::uint32_t packed_version = 2;
inline constexpr std::size_t packed_alignment = 64;  ///< of each record and of the index
inline constexpr std::size_t max_column_bytes = 64;  ///< of a field of one sample that is kept in the index

/// One entry of the index: a field of a sample.
struct PackedRecord {
  std::uint64_t offset;  ///< from the beginning of the file
  std::uint64_t size;    ///< bytes
  std::uint32_t crc32;   ///< of the bytes, zlib's
  std::uint32_t label;   ///< version 1: the sample's class, below the number of class names; version 2: 0
  std::uint32_t height;  ///< pixels; 0 if the shape says it all
  std::uint32_t width;
};
static_assert(sizeof(PackedRecord) == 32);

/// The last bytes of the file.
struct PackedTrailer {
  std::uint64_t samples;
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

/// How a field is kept.
enum class PackedKind : std::uint8_t {
  column,    ///< elements, of all samples one behind the other at the end of the index, in memory
  elements,  ///< each sample's in a record of its own
  pixels,    ///< of pictures that differ in size, which the index has
  files      ///< JPEG or PNG files
};

struct PackedField {
  Field field;  ///< of pictures height and width are 0
  PackedKind kind = PackedKind::elements;
  bool operator==(const PackedField&) const = default;
};

/// What all samples have in common.
struct PackedDescription {
  std::vector<PackedField> fields;
  std::vector<std::string> class_names;
  std::vector<float> mean;  ///< of each channel, in units of 0..1
  std::vector<float> std;
};

/// An open packed file. Its index and description are in memory and checked: every record lies inside of the file and
/// has a size that its field allows, and every value of a column is one that its field allows. What the records' bytes
/// are is checked by verify() alone. Records are read, not mapped: a file that is cut off or cannot be read meanwhile
/// is an error of that record, and its pages are no part of the readers' memory.
class PackedFile {
 public:
  // Throw RunError "packed" that names `path` for anything that is not whole.
  explicit PackedFile(const std::string& path);
  PackedFile(UniqueFd file, std::string path);

  const std::string& path() const { return path_; }
  std::uint64_t bytes() const { return bytes_; }
  std::size_t samples() const { return trailer_.samples; }
  const PackedDescription& description() const { return description_; }
  /// A field of a sample. REQUIRES that it is no column.
  const PackedRecord& record(std::size_t sample, std::size_t field) const {
    return records_[sample * record_fields_ + record_of_[field]];
  }
  /// A field of a sample. REQUIRES that it is a column.
  std::span<const std::byte> column(std::size_t sample, std::size_t field) const {
    const std::size_t size = description_.fields[field].field.bytes();
    return std::span(columns_[field]).subspan(sample * size, size);
  }
  /// The bytes of a record into `out`, which has room for exactly these. For many threads and processes at once. Throws
  /// RunError that names the sample.
  void read(std::size_t sample, std::size_t field, std::span<std::byte> out) const;
  /// Of everything: the index has the records' checksums.
  std::uint64_t fingerprint() const { return fingerprint_; }
  /// Reads every record; throws RunError that names the first with another checksum than the index says.
  void verify() const;

 private:
  [[noreturn]] void refuse(std::string_view what) const;
  void read_trailer();
  void read_description();
  void read_index();
  void check_record(std::size_t sample, std::size_t field) const;

  UniqueFd file_;
  std::string path_;
  std::uint64_t bytes_;
  PackedTrailer trailer_{};
  PackedDescription description_;
  std::vector<std::size_t> record_of_;  ///< of each field that is no column: its place among a sample's records
  std::size_t record_fields_ = 0;       ///< records of a sample
  std::vector<PackedRecord> records_;
  std::vector<std::vector<std::byte>> columns_;  ///< of each field that is one
  std::uint64_t fingerprint_ = 0;
};

/// A field of a sample on its way into a packed file.
struct FieldToPack {
  std::span<const std::byte> bytes;
  ImageSize size{};         ///< of a spatial field, or of the picture in a file
  bool is_encoded = false;  ///< it is a picture's file
};

/// Writes a packed file, sample after sample.
class PackedWriter {
 public:
  /// Writes samples of `fields` into `file`, which must be new and outlive it.
  PackedWriter(FileWriter& file, std::vector<Field> fields);

  /// `sample`: one entry per field.
  void add(std::span<const FieldToPack> sample);

  /// Writes index, description and trailer. Spatial fields that are not files and have one size are kept as elements.
  void finish(const std::vector<std::string>& class_names, const std::vector<float>& mean,
              const std::vector<float>& std);

 private:
  void write(std::span<const std::byte> bytes);
  void pad();
  PackedField description_of(std::size_t field) const;

  FileWriter& file_;
  std::uint64_t written_ = 0;
  std::uint64_t samples_ = 0;
  std::vector<Field> fields_;
  std::vector<PackedRecord> records_;
  std::vector<std::vector<std::byte>> columns_;  ///< of each field that is one
  std::vector<bool> is_encoded_;                 ///< of each field
  std::vector<std::optional<ImageSize>> sizes_;  ///< of each spatial field: the one of all so far
  std::vector<bool> sizes_differ_;
};

}  // namespace trainyard
