/// Decodes JPEG and PNG files to the same pixels as Pillow's `Image.open(path).convert("RGB")` or `convert("L")`: alpha
/// is dropped, and CMYK is interpreted as Adobe's. 16-bit samples keep their high byte, also in grey images (Pillow
/// clamps those at 255, which makes nearly all of them white). Images are rotated upright as by Pillow's
/// `ImageOps.exif_transpose`, unless ImageOptions disable it.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "images/image.h"
#include "images/jpeg_layout.h"

namespace trainyard {

/// Options for reading image files: the settings data.max_pixels and data.exif_orientation.
struct ImageOptions {
  std::size_t max_pixels = 178'956'970;  ///< larger images are refused before memory is allocated for their pixels
  bool upright = true;                   ///< apply the EXIF orientation
};

/// An image file whose size is known and whose pixels, or some of them, can be read once. Not thread-safe; the bytes
/// must outlive it. Its functions throw RunError "image" naming the path if the part of the file read so far is
/// damaged.
class ImageReader {
 public:
  /// Detects the format from the content. Throws for anything but a JPEG or PNG, naming what it is, and for too many
  /// pixels.
  static std::unique_ptr<ImageReader> open(std::span<const std::byte> file, const std::string& path,
                                           const ImageOptions& options = {});

  /// The same for a mask: a PNG of 1 channel, grey or with a palette, of at most 8 bits. Its pixels are the values in
  /// the file (palette indices, if there is a palette), which are the classes. Throws for anything else, naming what it
  /// is.
  static std::unique_ptr<ImageReader> open_mask(std::span<const std::byte> file, const std::string& path,
                                                const ImageOptions& options = {});

  virtual ~ImageReader() = default;
  ImageReader(const ImageReader&) = delete;
  ImageReader& operator=(const ImageReader&) = delete;

  ImageSize size() const { return size_; }
  /// The name used in errors: printable.
  const std::string& path() const { return path_; }

  /// Whether read() can shrink by 2, 4 or 8. JPEG files can, which is faster and averages pixels (scaled_jpeg.h;
  /// libjpeg's scaled inverse DCT for files that are not baseline).
  virtual bool can_shrink(std::size_t shrink) const = 0;

  /// How a GPU can decode the file to the same pixels; nullopt if it cannot: any file but a complete JPEG of the
  /// supported kinds. REQUIRES that read() has not been called.
  virtual std::optional<JpegLayout> layout_for_gpu() const { return std::nullopt; }

  /// The size after shrinking: each side divided by `shrink` and rounded up.
  ImageSize size(std::size_t shrink) const {
    return {(size_.height + shrink - 1) / shrink, (size_.width + shrink - 1) / shrink};
  }

  /// Writes `part` of the image, shrunk by `shrink`, to `out`, in 1 channel (grey) or 3 (RGB): the same bytes that the
  /// part has in the whole image. REQUIRES that the part lies in size(shrink), and that this is the first call.
  virtual void read(const Rect& part, std::size_t channels, std::size_t shrink, std::byte* out) = 0;

 protected:
  ImageReader(ImageSize size, std::string path);

  ImageSize size_;
  std::string path_;
};

/// Decodes the whole image in 1 or 3 channels.
Image decode_image(std::span<const std::byte> file, std::size_t channels, const std::string& path,
                   const ImageOptions& options = {});

// The two formats, detected from their first bytes.
bool is_jpeg(std::span<const std::byte> file);
bool is_png(std::span<const std::byte> file);
std::unique_ptr<ImageReader> open_jpeg(std::span<const std::byte> file, const std::string& path);
std::unique_ptr<ImageReader> open_png(std::span<const std::byte> file, const std::string& path);
std::unique_ptr<ImageReader> open_png_mask(std::span<const std::byte> file, const std::string& path);

/// Converts one row of RGB to grey like Pillow's convert("L"): ITU-R 601-2 luma in 16-bit fixed point, rounded.
void rgb_to_grey(const std::byte* rgb, std::size_t width, std::byte* grey);

}  // namespace trainyard
