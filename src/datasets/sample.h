/// Holds one sample, which Dataset::read() fills field by field.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <vector>

#include "images/image.h"
#include "util/error.h"

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
    require_field(field);
    missing_elements_ &= ~bit(field);
    return places_[field];
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
    require_field(field);
    if (places_[field].size() != sizeof value) return;  // the reader refuses a field that is not filled
    std::memcpy(elements(field).data(), &value, sizeof value);
  }
  /// Sets the image of a field that is_stored_image: a view of the dataset's own memory or of scratch(field).
  void store(std::size_t field, const StoredImage& image) {
    require_field(field);
    missing_images_ &= ~bit(field);
    parts_[field].stored = image;
  }
  /// Memory for an image's file, valid until the field's next sample.
  Scratch& scratch(std::size_t field) {
    require_field(field);
    return parts_[field].scratch;
  }

  // For readers.

  /// Call before read(): the elements of each field are to be written to its place; `places` must outlive read().
  void expect(std::span<const std::span<std::byte>> places) {
    if (parts_.size() < places.size()) parts_.resize(places.size());
    places_ = places;
    missing_elements_ = bit(places.size()) - 1;
    missing_images_ = 0;
  }
  /// The same one by one: begins a sample of `fields` fields, for each of which one of the next three is called.
  void begin(std::size_t fields) {
    own_places_.resize(fields);
    expect(own_places_);
  }
  void expect(std::size_t field, std::span<std::byte> place) { own_places_[field] = place; }
  /// In memory owned by the sample.
  void expect(std::size_t field, std::size_t bytes) { expect(field, parts_[field].own.take(bytes)); }
  /// The field is to be stored as an image.
  void expect_image(std::size_t field) {
    own_places_[field] = {};
    missing_elements_ &= ~bit(field);
    missing_images_ |= bit(field);
  }
  /// Whether all fields have been filled, each as expected.
  bool is_filled() const { return (missing_elements_ | missing_images_) == 0; }
  bool is_filled(std::size_t field) const { return ((missing_elements_ | missing_images_) & bit(field)) == 0; }
  std::span<std::byte> place(std::size_t field) const { return places_[field]; }
  /// REQUIRES that the field has been filled by store().
  const StoredImage& stored(std::size_t field) const { return parts_[field].stored; }

 private:
  struct Part {
    StoredImage stored;
    Scratch scratch;
    Scratch own;
  };

  void require_field(std::size_t field) const {
    if (field < places_.size()) return;
    throw RunError("data", "read() writes to field {}; the fields() of the dataset are 0 to {}", field,
                   places_.size() - 1);
  }
  static std::uint64_t bit(std::size_t field) { return std::uint64_t{1} << field; }

  std::span<const std::span<std::byte>> places_;
  std::vector<std::span<std::byte>> own_places_;  ///< since begin()
  std::vector<Part> parts_;
  // One bit per field that is not filled yet.
  std::uint64_t missing_elements_ = 0;
  std::uint64_t missing_images_ = 0;
};

}  // namespace trainyard
