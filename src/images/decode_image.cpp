#include "images/decode_image.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/ranges.h>

#include "util/error.h"

namespace trainyard {
namespace {

constexpr std::array jpeg_start{std::byte{0xff}, std::byte{0xd8}, std::byte{0xff}};
constexpr std::array png_start{std::byte{0x89}, std::byte{'P'}, std::byte{'N'}, std::byte{'G'}};

bool starts_with(std::span<const std::byte> file, std::span<const std::byte> start) {
  return file.size() >= start.size() && std::equal(start.begin(), start.end(), file.begin());
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
  if (size.height == 0 || size.width == 0 || size.height > max_image_pixels / size.width) {
    throw RunError("image", "{}: {} x {} pixels, expected at least 1 x 1 and at most {} in all", path_, size.width,
                   size.height, max_image_pixels);
  }
}

std::unique_ptr<ImageReader> ImageReader::open(std::span<const std::byte> file, const std::string& path) {
  if (is_jpeg(file)) return open_jpeg(file, path);
  if (is_png(file)) return open_png(file, path);
  std::array<unsigned, 4> start{};
  const auto count = std::min(file.size(), start.size());
  for (std::size_t i = 0; i < count; ++i) start[i] = std::to_integer<unsigned>(file[i]);
  throw RunError("image", "{}: begins with bytes '{:02x}', expected a JPEG (ff d8 ff) or a PNG (89 50 4e 47)", path,
                 fmt::join(std::span(start).first(count), " "));
}

Image decode_image(std::span<const std::byte> file, std::size_t channels, const std::string& path) {
  const std::unique_ptr<ImageReader> reader = ImageReader::open(file, path);
  const auto [height, width] = reader->size();
  Image image{height, width, channels, std::vector<std::byte>(height * width * channels)};
  reader->read(Rect::whole(reader->size()), channels, 1, image.pixels.data());
  return image;
}

}  // namespace trainyard
