/// Writes packed files (packed_format.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "datasets/packed_format.h"
#include "images/image.h"
#include "util/atomic_file.h"

namespace trainyard {

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
