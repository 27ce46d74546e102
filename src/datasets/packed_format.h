/// The format of packed files: many samples in one file. docs/packed-format.md specifies every byte.
///
///     magic | records | index | description (JSON) | trailer
///
/// Little-endian and written sequentially, so a truncated file has no trailer. Version 2 is written; version 1, with
/// one field and a label, can also be read.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "config/words.h"
#include "datasets/field.h"
#include "util/atomic_file.h"

namespace trainyard {

static_assert(std::endian::native == std::endian::little, "the structures are written and read as they are");

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

inline std::uint32_t crc32_of(const PackedTrailer& trailer) {
  return crc32_of(std::as_bytes(std::span(&trailer, 1)).first(offsetof(PackedTrailer, crc32)));
}

/// How a field is stored.
enum class PackedKind : std::uint8_t {
  column,    ///< elements of all samples, concatenated at the end of the index, in memory
  elements,  ///< elements of each sample in its own record
  pixels,    ///< pixels of images that differ in size; the sizes are in the index
  files      ///< JPEG or PNG files
};
constexpr std::array<const char*, 4> words_of(PackedKind) { return {"column", "elements", "pixels", "files"}; }

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

}  // namespace trainyard
