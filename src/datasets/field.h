/// Describes a sample: fields with a name, an element type and a shape.
///
/// Datasets and tasks agree on the fields' names: "image" (uint8, height × width × channels), "label" (int64, one
/// value), "labels" (uint8, one per class), "mask" (uint8, height × width), "target" (float32 or float64), "tokens"
/// (int32, T), and for tables "numeric" (float32, one per column, standardized) and "categorical" (int64, one per
/// column).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "datasets/column.h"
#include "images/image.h"

namespace trainyard {

/// The type of a field's elements.
enum class DType : std::uint8_t { uint8, int32, int64, float32, float64 };

/// "uint8", "int32", "int64", "float32" or "float64".
const char* to_string(DType type);

/// Returns the type of that name; nullopt if there is none.
std::optional<DType> dtype_of(std::string_view name);

/// Bytes of one element.
std::size_t size_of(DType type);

inline bool is_floating_point(DType type) { return type == DType::float32 || type == DType::float64; }

/// The integers that a field may contain: 0 to count - 1, e.g. the classes of a label or the vocabulary of a text.
struct ValueRange {
  std::int64_t count = 0;
  std::optional<std::int64_t> ignored{};  ///< also allowed: a pixel or token without a class, e.g. 255 in a mask
  bool operator==(const ValueRange&) const = default;
};

/// One part of every sample.
struct Field {
  std::string name;
  DType dtype = DType::uint8;
  std::vector<std::int64_t> shape{};  ///< of one sample; empty: a single value
  /// Whether samples differ in their first dimension, e.g. the words of a text; shape[0], at least 1, is then the
  /// maximum.
  bool varies = false;
  /// Whether the dataset returns a StoredImage (datasets/sample.h): an image or a mask of any size, as a JPEG or PNG
  /// file or as pixels, which is decoded later. Its shape is the one after the transforms; without transforms, that of
  /// the first sample.
  bool is_stored_image = false;
  /// For an image that the training device decodes: the bytes that one sample takes in a batch, which is an
  /// EncodedImage (transforms/encoded_image.h) instead of its elements; 0 for all other fields.
  std::size_t encoded_bytes = 0;
  std::optional<ValueRange> values{};  ///< enforced for each sample; REQUIRES an integer type
  std::vector<Column> columns{};       ///< descriptions of the elements; empty: none

  /// Elements of one sample; the maximum if it varies.
  std::size_t elements() const;
  /// Bytes of one sample in a batch; the maximum if it varies.
  std::size_t bytes() const { return encoded_bytes > 0 ? encoded_bytes : elements() * size_of(dtype); }
  /// Bytes of one of the shape[0] rows of a varying sample; a sample that does not vary is one row.
  std::size_t row_bytes() const { return varies ? bytes() / static_cast<std::size_t>(shape[0]) : bytes(); }

  /// uint8, height × width × channels: transforms change its geometry and its colours.
  bool is_image() const { return dtype == DType::uint8 && shape.size() == 3 && !varies; }
  /// An image, or the field "image" of float32, height × width × channels: tasks and models take it like an image,
  /// transforms do not.
  bool has_pixels() const {
    return is_image() || (name == "image" && dtype == DType::float32 && shape.size() == 3 && !varies);
  }
  /// uint8, height × width: transforms change its geometry like that of the image, with nearest-neighbour sampling.
  bool is_mask() const { return dtype == DType::uint8 && shape.size() == 2 && !varies; }

  /// An image or a mask, which geometric transforms act on.
  bool is_spatial() const { return is_image() || is_mask(); }

  bool operator==(const Field&) const = default;
};

/// Returns the field of that name; nullptr if there is none.
const Field* find_field(std::span<const Field> fields, std::string_view name);

/// Returns the field "label": the index of one of `classes` classes.
Field label_field(std::size_t classes);

/// Returns height and width of an image or a mask.
ImageSize image_size(const Field& field);
/// Returns the channels of an image; 1 for a mask.
std::size_t channels_of(const Field& field);

/// Returns the first element outside field.values, its position and the allowed values; empty if all are allowed.
/// `elements` are those of a sample, or a part of a varying one.
std::string values_error(const Field& field, std::span<const std::byte> elements);

/// Returns e.g. "image (uint8, 28 x 28 x 1), label (int64)".
std::string describe(std::span<const Field> fields);

}  // namespace trainyard
