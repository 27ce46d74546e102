/// Images in memory: uint8 pixels in height × width × channels layout, channels 1 (grey) or 3 (RGB).
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <span>
#include <vector>

namespace trainyard {

/// Maximum size of a resized image, in pixels.
inline constexpr std::size_t max_image_pixels = 100'000'000;

struct ImageSize {
  std::size_t height = 0;
  std::size_t width = 0;
  bool operator==(const ImageSize&) const = default;
};

/// A rectangle of an image, in pixels from its top left corner. It may extend beyond the image only if documented.
struct Rect {
  std::ptrdiff_t top = 0;
  std::ptrdiff_t left = 0;
  std::size_t height = 0;
  std::size_t width = 0;

  static Rect whole(ImageSize size) { return {0, 0, size.height, size.width}; }
  ImageSize size() const { return {height, width}; }
  std::ptrdiff_t bottom() const { return top + static_cast<std::ptrdiff_t>(height); }
  std::ptrdiff_t right() const { return left + static_cast<std::ptrdiff_t>(width); }
  bool lies_in(ImageSize size) const {
    return top >= 0 && left >= 0 && bottom() <= static_cast<std::ptrdiff_t>(size.height) &&
           right() <= static_cast<std::ptrdiff_t>(size.width);
  }
  bool operator==(const Rect&) const = default;
};

/// An image that owns its pixels, row by row.
struct Image {
  std::size_t height = 0;
  std::size_t width = 0;
  std::size_t channels = 0;
  std::vector<std::byte> pixels;
};

/// A mutable, non-owning view of pixels, row by row.
struct ImageView {
  std::byte* pixels = nullptr;
  std::size_t height = 0;
  std::size_t width = 0;
  std::size_t channels = 0;

  ImageSize size() const { return {height, width}; }
  std::size_t row_bytes() const { return width * channels; }
  std::byte* row(std::size_t y) const { return pixels + y * row_bytes(); }
  std::span<std::byte> bytes() const { return {pixels, height * row_bytes()}; }
};

/// A read-only, non-owning view of pixels; rows need not be contiguous.
struct ConstImageView {
  const std::byte* pixels = nullptr;
  std::size_t height = 0;
  std::size_t width = 0;
  std::size_t channels = 0;
  std::size_t row_bytes = 0;  ///< from one row to the next

  ConstImageView() = default;
  ConstImageView(const std::byte* data, ImageSize size, std::size_t channel_count)
      : pixels(data),
        height(size.height),
        width(size.width),
        channels(channel_count),
        row_bytes(width * channel_count) {}
  ConstImageView(const ImageView& view) : ConstImageView(view.pixels, view.size(), view.channels) {}  // NOLINT
  ConstImageView(const Image& image)                                                                  // NOLINT
      : ConstImageView(image.pixels.data(), {image.height, image.width}, image.channels) {}

  ImageSize size() const { return {height, width}; }
  const std::byte* row(std::size_t y) const { return pixels + y * row_bytes; }
  /// REQUIRES that `part` lies within the image.
  ConstImageView part(const Rect& part) const {
    ConstImageView result = *this;
    result.pixels += static_cast<std::size_t>(part.top) * row_bytes + static_cast<std::size_t>(part.left) * channels;
    result.height = part.height;
    result.width = part.width;
    return result;
  }
};

/// Reusable memory: it grows as needed, is not cleared, and does not shrink.
class Scratch {
 public:
  /// Returns `size` bytes of unspecified content, valid until the next call, aligned to a cache line: AMD processors
  /// read a file at a third of the speed into memory that begins 16 bytes after one, as large malloc blocks do.
  std::span<std::byte> take(std::size_t size) {
    if (size > size_) {
      memory_.reset(new (cache_line) std::byte[size]);
      size_ = size;
    }
    return {memory_.get(), size};
  }

 private:
  static constexpr std::align_val_t cache_line{64};
  struct Delete {
    void operator()(std::byte* memory) const { operator delete[](memory, cache_line); }
  };

  std::unique_ptr<std::byte[], Delete> memory_;
  std::size_t size_ = 0;
};

}  // namespace trainyard
