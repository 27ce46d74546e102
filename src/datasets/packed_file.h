/// Reads and writes packed files: many samples in one file. docs/packed-format.md specifies every byte.
///
///     magic | records | index | description (JSON) | trailer
///
/// Little-endian and written sequentially, so a truncated file has no trailer. Version 2 is written; version 1, with
/// one field and a label, can also be read.
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
inline constexpr std::size_t max_column_bytes = 64;  ///< maximum size of a field of one sample kept in the index

/// One entry of the index: a field of a sample.
struct PackedRecord {
  std::uint64_t offset;  ///< from the beginning of the file
  std::uint64_t size;    ///< bytes
  std::uint32_t crc32;   ///< of the bytes, as zlib computes it
  std::uint32_t label;   ///< version 1: the sample's class, below the number of class names; version 2: 0
  std::uint32_t height;  ///< pixels; 0 if the shape is fixed
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

/// How a field is stored.
enum class PackedKind : std::uint8_t {
  column,    ///< elements of all samples, concatenated at the end of the index, in memory
  elements,  ///< elements of each sample in its own record
  pixels,    ///< pixels of images that differ in size; the sizes are in the index
  files      ///< JPEG or PNG files
};

struct PackedField {
  Field field;  ///< for images, height and width are 0
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

/// An open packed file. Its index and description are in memory and checked: every record lies within the file and has
/// a size that its field allows, and every value of a column is one that its field allows. Only verify() checks the
/// bytes of the records. Records are read, not mapped: a file that is later truncated or becomes unreadable causes an
/// error for that record only, and its pages do not count as the readers' memory.
class PackedFile {
 public:
  // Both throw RunError "packed" naming `path` if the file is not complete and valid.
  explicit PackedFile(const std::string& path);
  PackedFile(UniqueFd file, std::string path);

  const std::string& path() const { return path_; }
  std::uint64_t bytes() const { return bytes_; }
  std::size_t samples() const { return trailer_.samples; }
  const PackedDescription& description() const { return description_; }
  /// The record of a field of a sample. REQUIRES that the field is not a column.
  const PackedRecord& record(std::size_t sample, std::size_t field) const {
    return records_[sample * record_fields_ + record_of_[field]];
  }
  /// The elements of a field of a sample. REQUIRES that the field is a column.
  std::span<const std::byte> column(std::size_t sample, std::size_t field) const {
    const std::size_t size = description_.fields[field].field.bytes();
    return std::span(columns_[field]).subspan(sample * size, size);
  }
  /// Reads a record into `out`, which must have exactly its size. Safe from many threads and processes at once. Throws
  /// RunError naming the sample.
  void read(std::size_t sample, std::size_t field, std::span<std::byte> out) const;
  /// Covers everything, because the index contains the records' checksums.
  std::uint64_t fingerprint() const { return fingerprint_; }
  /// Reads every record; throws RunError naming the first one whose checksum differs from the index.
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
  std::vector<std::size_t> record_of_;  ///< for each field that is not a column: its position among a sample's records
  std::size_t record_fields_ = 0;       ///< records per sample
  std::vector<PackedRecord> records_;
  std::vector<std::vector<std::byte>> columns_;  ///< of each field that is one
  std::uint64_t fingerprint_ = 0;
};

/// A field of a sample to be packed.
struct FieldToPack {
  std::span<const std::byte> bytes;
  ImageSize size{};         ///< size of a spatial field, or of the image in a file
  bool is_encoded = false;  ///< whether it is an encoded file
};

/// Writes a packed file sample by sample.
class PackedWriter {
 public:
  /// Writes samples of `fields` into `file`, which must be new and outlive it.
  PackedWriter(FileWriter& file, std::vector<Field> fields);

  /// `sample`: one entry per field.
  void add(std::span<const FieldToPack> sample);

  /// Writes index, description and trailer. Spatial fields that are not files and all have one size are stored as
  /// elements.
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
  std::vector<std::optional<ImageSize>> sizes_;  ///< of each spatial field: the common size so far
  std::vector<bool> sizes_differ_;
};

}  // namespace trainyard
