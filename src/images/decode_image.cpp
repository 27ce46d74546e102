#include "images/decode_image.h"

#include <algorithm>
#include <array>
#include <utility>

#include "images/describe_format.h"
#include "images/exif.h"
#include "images/upright_reader.h"
#include "util/error.h"
#include "util/printable.h"

namespace trainyard {
namespace {

constexpr std::array jpeg_start{std::byte{0xff}, std::byte{0xd8}, std::byte{0xff}};
constexpr std::size_t max_of_path = 1024;  // maximum bytes of a path in an error
constexpr std::array png_start{std::byte{0x89}, std::byte{'P'}, std::byte{'N'}, std::byte{'G'}};

bool starts_with(std::span<const std::byte> file, std::span<const std::byte> start) {
  return file.size() >= start.size() && std::equal(start.begin(), start.end(), file.begin());
}

// Refuses too many pixels, and rotates the image upright if the options say so.
std::unique_ptr<ImageReader> with_options(std::unique_ptr<ImageReader> reader, std::span<const std::byte> file,
                                          const std::string& name, const ImageOptions& options) {
  const auto [height, width] = reader->size();
  if (height > options.max_pixels / width) {
    throw RunError("image", "{}: {} x {} pixels, more than data.max_pixels = {}: leave it out, or raise the limit",
                   name, width, height, options.max_pixels);
  }
  const int orientation = options.upright ? exif_orientation(file) : 1;
  return orientation == 1 ? std::move(reader) : turned_upright(std::move(reader), orientation);
}

}  // namespace

bool is_jpeg(std::span<const std::byte> file) { return starts_with(file, jpeg_start); }
bool is_png(std::span<const std::byte> file) { return starts_with(file, png_start); }

void rgb_to_grey(const std::byte* rgb, std::size_t width, std::byte* grey) {
  for (std::size_t x = 0; x < width; ++x, rgb += 3) {
    const auto red = std::to_integer<unsigned>(rgb[0]);
    const auto green = std::to_integer<unsigned>(rgb[1]);
    const auto blue = std::to_integer<unsigned>(rgb[2]);
    grey[x] = static_cast<std::byte>((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16);
  }
}

ImageReader::ImageReader(ImageSize size, std::string path) : size_(size), path_(std::move(path)) {
  if (size.height == 0 || size.width == 0) {
    throw RunError("image", "{}: {} x {} pixels, expected at least 1 x 1", path_, size.width, size.height);
  }
}

std::unique_ptr<ImageReader> ImageReader::open(std::span<const std::byte> file, const std::string& path,
                                               const ImageOptions& options) {
  const std::string name = printable(path, max_of_path);
  if (!is_jpeg(file) && !is_png(file)) throw RunError("image", "{}: {}", name, describe_format(file));
  return with_options(is_jpeg(file) ? open_jpeg(file, name) : open_png(file, name), file, name, options);
}

std::unique_ptr<ImageReader> ImageReader::open_mask(std::span<const std::byte> file, const std::string& path,
                                                    const ImageOptions& options) {
  const std::string name = printable(path, max_of_path);
  if (!is_png(file)) {
    throw RunError("image", "{}: {}; a mask is a PNG whose pixels are the numbers of the classes", name,
                   is_jpeg(file) ? "a JPEG" : describe_format(file));
  }
  return with_options(open_png_mask(file, name), file, name, options);
}

Image decode_image(std::span<const std::byte> file, std::size_t channels, const std::string& path,
                   const ImageOptions& options) {
  const std::unique_ptr<ImageReader> reader = ImageReader::open(file, path, options);
  const auto [height, width] = reader->size();
  Image image{height, width, channels, std::vector<std::byte>(height * width * channels)};
  reader->read(Rect::whole(reader->size()), channels, 1, image.pixels.data());
  return image;
}

}  // namespace trainyard
