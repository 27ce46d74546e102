/// Holds one sample, which Dataset::read() fills field by field.
#pragma once

#include <cstddef>
#include <cstring>
#include <optional>
#include <span>
#include <vector>

#include "images/image.h"

namespace trainyard {

/// An image as a dataset stores it.
struct StoredImage {
  std::span<const std::byte> bytes;      ///< a JPEG or PNG file (for a mask, PNG), or pixels
  std::optional<ImageSize> pixels = {};  ///< the size, if `bytes` are pixels, with the field's number of channels
};

/// Its memory is reused for the next sample. Not thread-safe.
class Sample {
 public:
  // For datasets. Fields are indexed as in Dataset::fields(). Each is filled by elements() or set(), or by store() if
  // it is_stored_image.

  /// Returns where to write the elements of the field: exactly Field::bytes() bytes, or the sample's rows if it varies.
  /// If no processing follows, this is the batch itself, which may be shared memory.
  std::span<std::byte> elements(std::size_t field) {
    parts_[field].is_filled = true;
    return parts_[field].place;
  }
  /// The same as values of the field's type.
  template <typename T>
  std::span<T> elements_as(std::size_t field) {
    const std::span<std::byte> place = elements(field);
    return {reinterpret_cast<T*>(place.data()), place.size() / sizeof(T)};
  }
  /// Fills a field of a single value. REQUIRES that T is its type.
  template <typename T>
  void set(std::size_t field, T value) {
    const std::span<std::byte> place = elements(field);
    if (place.size() == sizeof value) {
      std::memcpy(place.data(), &value, sizeof value);
    } else {
      parts_[field].is_filled = false;  // the reader refuses a field that is not filled
    }
  }
  /// Sets the image of a field that is_stored_image: a view of the dataset's own memory or of scratch(field).
  void store(std::size_t field, const StoredImage& image) {
    parts_[field].stored = image;
    parts_[field].is_stored = true;
  }
  /// Memory for an image's file, valid until the field's next sample.
  Scratch& scratch(std::size_t field) { return parts_[field].scratch; }

  // For readers.

  /// Call before read(): the elements of the field are to be written to `place`; for an image, `place` is empty.
  void expect(std::size_t field, std::span<std::byte> place) {
    if (field >= parts_.size()) parts_.resize(field + 1);
    parts_[field].place = place;
    parts_[field].stored = {};
    parts_[field].is_filled = false;
    parts_[field].is_stored = false;
  }
  /// The same with memory owned by the sample.
  void expect(std::size_t field, std::size_t bytes) {
    if (field >= parts_.size()) parts_.resize(field + 1);
    expect(field, parts_[field].own.take(bytes));
  }
  bool is_filled(std::size_t field) const { return parts_[field].is_filled; }
  bool is_stored(std::size_t field) const { return parts_[field].is_stored; }
  std::span<std::byte> place(std::size_t field) const { return parts_[field].place; }
  const StoredImage& stored(std::size_t field) const { return parts_[field].stored; }

 private:
  struct Part {
    std::span<std::byte> place;
    StoredImage stored;
    bool is_filled = false;  ///< by elements() or set()
    bool is_stored = false;  ///< by store()
    Scratch scratch;
    Scratch own;
  };
  std::vector<Part> parts_;
};

}  // namespace trainyard
