/// JPEG and PNG files to pixels, the same pixels that Pillow's `Image.open(path).convert("RGB")` or `convert("L")`
/// gives: alpha is dropped, CMYK is taken as Adobe's. 16-bit samples keep their high byte, grey ones too (Pillow cuts
/// those off at 255, which makes nearly all of them white). Pictures are turned upright as Pillow's
/// `ImageOps.exif_transpose` does it, unless ImageOptions say otherwise.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "images/image.h"

namespace trainyard {

/// How image files are read: the settings data.max_pixels and data.exif_orientation.
struct ImageOptions {
  std::size_t max_pixels = 178'956'970;  ///< larger pictures are refused before memory is taken for their pixels
  bool upright = true;                   ///< turn pictures as their EXIF orientation asks
};

/// A file whose size is known and whose pixels, or some of them, can be had once. For one thread; the bytes must
/// outlive it. Its functions throw RunError "image" that names the path for a damaged file, as far as it has been read.
class ImageReader {
 public:
  /// Told by its content. Throws for anything but a JPEG or PNG, saying what it is, and for one of too many pixels.
  static std::unique_ptr<ImageReader> open(std::span<const std::byte> file, const std::string& path,
                                           const ImageOptions& options = {});

  /// The same of a mask: a PNG of 1 channel, in grey or with a palette, of at most 8 bits. Its pixels are the numbers
  /// in the file, i.e. of a palette the indices, which are the classes. Throws for anything else, saying what it is.
  static std::unique_ptr<ImageReader> open_mask(std::span<const std::byte> file, const std::string& path,
                                                const ImageOptions& options = {});

  virtual ~ImageReader() = default;
  ImageReader(const ImageReader&) = delete;
  ImageReader& operator=(const ImageReader&) = delete;

  ImageSize size() const { return size_; }
  /// What errors call it: printable.
  const std::string& path() const { return path_; }

  /// Whether read() can shrink by 2, 4 or 8: JPEG files, faster and by means of pixels (scaled_jpeg.h; libjpeg's
  /// scaled inverse DCT for files that are not baseline).
  virtual bool can_shrink(std::size_t shrink) const = 0;

  /// The size after shrinking: each side divided and rounded up.
  ImageSize size(std::size_t shrink) const {
    return {(size_.height + shrink - 1) / shrink, (size_.width + shrink - 1) / shrink};
  }

  /// Writes `part` of the picture, shrunk if asked for, to `out`, in 1 channel (grey) or 3 (RGB); the same bytes that
  /// the part has in the whole picture. REQUIRES that the part lies in size(shrink), and that this is the first call.
  virtual void read(const Rect& part, std::size_t channels, std::size_t shrink, std::byte* out) = 0;

 protected:
  ImageReader(ImageSize size, std::string path);

  ImageSize size_;
  std::string path_;
};

/// The whole picture of a file, in 1 or 3 channels.
Image decode_image(std::span<const std::byte> file, std::size_t channels, const std::string& path,
                   const ImageOptions& options = {});

// The two formats, known by how their bytes begin.
bool is_jpeg(std::span<const std::byte> file);
bool is_png(std::span<const std::byte> file);
std::unique_ptr<ImageReader> open_jpeg(std::span<const std::byte> file, const std::string& path);
std::unique_ptr<ImageReader> open_png(std::span<const std::byte> file, const std::string& path);
std::unique_ptr<ImageReader> open_png_mask(std::span<const std::byte> file, const std::string& path);

/// One row of RGB to grey as Pillow's convert("L"): ITU-R 601-2 luma in 16-bit fixed point, rounded.
void rgb_to_grey(const std::byte* rgb, std::size_t width, std::byte* grey);

}  // namespace trainyard
