/// Reads packed files (packed_format.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "datasets/packed_format.h"
#include "util/system.h"

namespace trainyard {

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
  void take_columns(std::span<const std::byte> bytes);
  void check_values(const Field& field, std::span<const std::byte> column) const;
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

}  // namespace trainyard
