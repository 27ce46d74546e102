/// Reads and writes the safetensors file format, without LibTorch: eight bytes of header length (little endian), a JSON
/// header, the data.
///
///     {"__metadata__": {"format": "pt"},
///      "fc.weight": {"dtype": "F32", "shape": [10, 512], "data_offsets": [0, 20480]}, ...}
///
/// Offsets are relative to the end of the header. The reader is strict: a file that it accepts is complete and
/// unambiguous, and any header is safe to parse. Format: github.com/huggingface/safetensors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace trainyard::safetensors {

static constexpr std::size_t max_header_bytes = 100'000'000;  ///< the reference implementation's limit
static constexpr std::size_t max_dimensions = 64;

enum class ElementType : std::uint8_t {
  boolean,
  u8,
  i8,
  f8_e5m2,
  f8_e4m3,
  f8_e8m0,
  i16,
  u16,
  f16,
  bf16,
  i32,
  u32,
  f32,
  i64,
  u64,
  f64,
  c64
};

/// Bytes of one element.
std::size_t size_of(ElementType type);

/// The format's name of a type, e.g. "BF16".
std::string_view name_of(ElementType type);

/// The type with that name; none if the format has no such name.
std::optional<ElementType> element_type_of(std::string_view name);

/// Bytes of a tensor; none if a dimension is negative or the product, with zeros counted as ones, overflows 63 bits (so
/// that strides fit as well).
std::optional<std::size_t> byte_size(ElementType type, std::span<const std::int64_t> shape);

struct TensorInfo {
  std::string name;
  ElementType type = ElementType::f32;
  std::vector<std::int64_t> shape;  ///< empty: a scalar
  std::size_t begin = 0;            ///< first byte, relative to the end of the header
  std::size_t end = 0;              ///< one past the last byte
  bool operator==(const TensorInfo&) const = default;
};

using Metadata = std::map<std::string, std::string>;

struct Header {
  std::vector<TensorInfo> tensors;  ///< in the order of the header
  Metadata metadata;
  std::size_t data_begin = 0;  ///< offset of the data in the file; 8 + the header's length
};

/// Parses and validates the bytes of a whole file. Throws RunError `[safetensors] <path>: what, at offset N` (N is
/// relative to the start of the file) unless: the header is at most max_header_bytes of UTF-8 JSON with exactly the
/// keys above, none twice; types are known; every size is its type's size times the product of its shape; the tensors
/// cover the data without gaps, overlaps or trailing bytes. Memory use is proportional to the header only.
Header parse_header(std::span<const std::byte> file, std::string_view path);

/// Sets begin and end of each tensor, wider types first, so that each is aligned to its type. Returns the indices of
/// `tensors` in the order of their data. Throws RunError for a shape that byte_size rejects.
std::vector<std::size_t> lay_out(std::span<TensorInfo> tensors, std::string_view path);

/// What precedes the data: the length and the JSON header, padded with spaces to a multiple of 8 bytes. Throws RunError
/// for a name that is empty, used twice, reserved or not UTF-8.
std::string format_header(std::span<const TensorInfo> tensors, const Metadata& metadata, std::string_view path);

}  // namespace trainyard::safetensors
