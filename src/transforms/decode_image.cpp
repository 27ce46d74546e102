#include "transforms/decode_image.h"

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

// Pillow's convert("L"): ITU-R 601-2 luma in 16-bit fixed point, rounded.
Image to_grey(const Image& rgb) {
  Image grey{rgb.height, rgb.width, 1, std::vector<std::byte>(rgb.height * rgb.width)};
  const std::byte* pixel = rgb.pixels.data();
  for (std::byte& out : grey.pixels) {
    const auto red = std::to_integer<unsigned>(pixel[0]);
    const auto green = std::to_integer<unsigned>(pixel[1]);
    const auto blue = std::to_integer<unsigned>(pixel[2]);
    out = static_cast<std::byte>((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16);
    pixel += 3;
  }
  return grey;
}

Image to_rgb(const Image& grey) {
  Image rgb{grey.height, grey.width, 3, std::vector<std::byte>(grey.pixels.size() * 3)};
  std::byte* out = rgb.pixels.data();
  for (const std::byte value : grey.pixels) out = std::fill_n(out, 3, value);
  return rgb;
}

}  // namespace

void check_image_size(std::size_t height, std::size_t width, const std::string& path) {
  if (height == 0 || width == 0 || height > max_image_pixels / width) {
    throw RunError("image", "{}: {} x {} pixels, expected at least 1 x 1 and at most {} in all", path, width, height,
                   max_image_pixels);
  }
}

Image decode_image(std::span<const std::byte> file, std::size_t channels, const std::string& path) {
  Image image;
  if (starts_with(file, jpeg_start)) {
    image = decode_jpeg(file, path);
  } else if (starts_with(file, png_start)) {
    image = decode_png(file, path);
  } else {
    std::array<unsigned, 4> start{};
    const auto count = std::min(file.size(), start.size());
    for (std::size_t i = 0; i < count; ++i) start[i] = std::to_integer<unsigned>(file[i]);
    throw RunError("image", "{}: begins with bytes '{:02x}', expected a JPEG (ff d8 ff) or a PNG (89 50 4e 47)", path,
                   fmt::join(std::span(start).first(count), " "));
  }
  if (image.channels == channels) return image;
  return channels == 1 ? to_grey(image) : to_rgb(image);
}

}  // namespace trainyard
