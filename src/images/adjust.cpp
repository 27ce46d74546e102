#include "images/adjust.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <numbers>

#include "images/decode_image.h"
#include "util/error.h"

namespace trainyard {
namespace {

using Table = std::array<std::byte, 256>;

void check(const ImageView& image) {
  if (image.channels == 1 || image.channels == 3) return;
  throw RunError("transform", "colours are changed in images of 1 or 3 channels, this one has {}", image.channels);
}

std::byte to_byte(double value) { return static_cast<std::byte>(std::clamp(value, 0.0, 255.0)); }

// Extrapolates linearly from `base` (factor 0) through `value` (factor 1); rounded towards zero, like Pillow's
// ImagingBlend.
std::byte blend(int base, std::byte value, float factor) {
  return to_byte(static_cast<float>(base) + factor * static_cast<float>(std::to_integer<int>(value) - base));
}

template <typename Function>
Table table_of(Function function) {
  Table table;
  for (int i = 0; i < 256; ++i) table.at(static_cast<std::size_t>(i)) = function(i);
  return table;
}

void look_up(const ImageView& image, const Table& table) {
  for (std::byte& value : image.bytes()) value = table.at(std::to_integer<std::size_t>(value));
}

std::byte grey_of(const std::byte* pixel, std::size_t channels) {
  if (channels == 1) return *pixel;
  std::byte grey{};
  rgb_to_grey(pixel, 1, &grey);
  return grey;
}

using Histogram = std::array<std::uint64_t, 256>;

Histogram histogram(const ImageView& image, std::size_t channel) {
  Histogram counts{};
  const std::span<const std::byte> bytes = image.bytes();
  for (std::size_t i = channel; i < bytes.size(); i += image.channels)
    ++counts.at(std::to_integer<std::size_t>(bytes[i]));
  return counts;
}

// Maps each channel through the table computed from its histogram.
template <typename Function>
void look_up_by_histogram(const ImageView& image, Function table_of_histogram) {
  for (std::size_t channel = 0; channel < image.channels; ++channel) {
    const Table table = table_of_histogram(histogram(image, channel));
    const std::span<std::byte> bytes = image.bytes();
    for (std::size_t i = channel; i < bytes.size(); i += image.channels) {
      bytes[i] = table.at(std::to_integer<std::size_t>(bytes[i]));
    }
  }
}

const Table identity = table_of([](int i) { return static_cast<std::byte>(i); });

struct Hsv {
  std::uint8_t h, s, v;
};

Hsv to_hsv(const std::byte* rgb) {
  const auto r = std::to_integer<int>(rgb[0]);
  const auto g = std::to_integer<int>(rgb[1]);
  const auto b = std::to_integer<int>(rgb[2]);
  const auto [low, high] = std::minmax({r, g, b});
  if (low == high) return {0, 0, static_cast<std::uint8_t>(high)};
  const auto range = static_cast<float>(high - low);
  const float saturation = range / static_cast<float>(high);
  const float from_red = static_cast<float>(high - r) / range;
  const float from_green = static_cast<float>(high - g) / range;
  const float from_blue = static_cast<float>(high - b) / range;
  const double sector = r == high   ? from_blue - from_green
                        : g == high ? 2.0 + from_red - from_blue
                                    : 4.0 + from_green - from_red;
  const auto hue = static_cast<float>(std::fmod(static_cast<double>(static_cast<float>(sector)) / 6.0 + 1.0, 1.0));
  return {static_cast<std::uint8_t>(std::clamp(static_cast<int>(hue * 255.0), 0, 255)),
          static_cast<std::uint8_t>(std::clamp(static_cast<int>(saturation * 255.0), 0, 255)),
          static_cast<std::uint8_t>(high)};
}

void from_hsv(const Hsv& hsv, std::byte* rgb) {
  const auto set = [&](double r, double g, double b) {
    rgb[0] = to_byte(r);
    rgb[1] = to_byte(g);
    rgb[2] = to_byte(b);
  };
  const auto v = static_cast<float>(hsv.v);
  if (hsv.s == 0) return set(v, v, v);
  const float sixths = static_cast<float>(hsv.h) * 6.0F / 255.0F;
  const auto sector = static_cast<int>(std::floor(sixths));
  const float rest = sixths - static_cast<float>(sector);
  const float s = static_cast<float>(hsv.s) / 255.0F;
  const double p = std::round(v * (1.0 - s));
  const double q = std::round(v * (1.0 - s * rest));
  const double t = std::round(v * (1.0 - s * (1.0 - rest)));
  switch (sector % 6) {
    case 0:
      return set(v, t, p);
    case 1:
      return set(q, v, p);
    case 2:
      return set(p, v, t);
    case 3:
      return set(p, q, v);
    case 4:
      return set(t, p, v);
    default:
      return set(v, p, q);
  }
}

}  // namespace

void adjust_brightness(const ImageView& image, float factor) {
  look_up(image, table_of([&](int i) { return blend(0, static_cast<std::byte>(i), factor); }));
}

void adjust_contrast(const ImageView& image, float factor) {
  check(image);
  std::uint64_t sum = 0;
  const std::size_t pixels = image.height * image.width;
  for (std::size_t i = 0; i < pixels; ++i) {
    sum += std::to_integer<std::uint64_t>(grey_of(image.pixels + i * image.channels, image.channels));
  }
  const auto mean = static_cast<int>(static_cast<double>(sum) / static_cast<double>(pixels) + 0.5);
  look_up(image, table_of([&](int i) { return blend(mean, static_cast<std::byte>(i), factor); }));
}

void adjust_saturation(const ImageView& image, float factor) {
  check(image);
  if (image.channels == 1) return;
  for (std::byte* pixel = image.pixels; pixel < image.pixels + image.bytes().size(); pixel += 3) {
    const int grey = std::to_integer<int>(grey_of(pixel, 3));
    for (int c = 0; c < 3; ++c) pixel[c] = blend(grey, pixel[c], factor);
  }
}

void adjust_sharpness(const ImageView& image, float factor) {
  // The smoothed image is the weighted mean of the pixel (weight 5) and its eight neighbours (weight 1); border pixels
  // are unchanged.
  if (image.height < 3 || image.width < 3) return;
  const std::size_t row_bytes = image.row_bytes();
  std::vector<std::byte> above(image.row(0), image.row(1));
  std::vector<std::byte> here(image.row(1), image.row(2));
  for (std::size_t y = 1; y + 1 < image.height; ++y) {
    const std::byte* const below = image.row(y + 1);
    for (std::size_t i = image.channels; i + image.channels < row_bytes; ++i) {
      int sum = 5 * std::to_integer<int>(here[i]);
      for (const std::size_t at : {i - image.channels, i, i + image.channels}) {
        sum += std::to_integer<int>(above[at]) + std::to_integer<int>(below[at]);
        if (at != i) sum += std::to_integer<int>(here[at]);
      }
      image.row(y)[i] = blend((2 * sum + 13) / 26, here[i], factor);
    }
    above.swap(here);
    here.assign(below, below + row_bytes);
  }
}

void adjust_hue(const ImageView& image, double shift) {
  check(image);
  if (image.channels == 1) return;
  const auto turn = static_cast<std::uint8_t>(static_cast<int>(shift * 255));
  for (std::byte* pixel = image.pixels; pixel < image.pixels + image.bytes().size(); pixel += 3) {
    Hsv hsv = to_hsv(pixel);
    hsv.h = static_cast<std::uint8_t>(hsv.h + turn);
    from_hsv(hsv, pixel);
  }
}

void posterize(const ImageView& image, int bits) {
  const auto mask = static_cast<std::byte>(0xff << (8 - bits));
  look_up(image, table_of([&](int i) { return static_cast<std::byte>(i) & mask; }));
}

void solarize(const ImageView& image, int threshold) {
  look_up(image, table_of([&](int i) { return static_cast<std::byte>(i < threshold ? i : 255 - i); }));
}

void autocontrast(const ImageView& image) {
  look_up_by_histogram(image, [](const Histogram& counts) {
    const auto used = [](std::uint64_t count) { return count > 0; };
    const auto low = static_cast<int>(std::find_if(counts.begin(), counts.end(), used) - counts.begin());
    const auto high = 255 - static_cast<int>(std::find_if(counts.rbegin(), counts.rend(), used) - counts.rbegin());
    if (high <= low) return identity;
    const double scale = 255.0 / (high - low);
    const double offset = -low * scale;
    return table_of([&](int i) { return to_byte(std::trunc(i * scale + offset)); });
  });
}

void equalize(const ImageView& image) {
  look_up_by_histogram(image, [](const Histogram& counts) {
    std::uint64_t sum = 0;
    std::uint64_t last = 0;
    for (const std::uint64_t count : counts) {
      sum += count;
      if (count > 0) last = count;
    }
    const std::uint64_t step = (sum - last) / 255;
    if (step == 0) return identity;
    std::uint64_t n = step / 2;
    Table table;
    for (std::size_t i = 0; i < table.size(); ++i) {
      table.at(i) = static_cast<std::byte>(std::min<std::uint64_t>(n / step, 255));
      n += counts.at(i);
    }
    return table;
  });
}

void transform_affine(const ImageView& image, const AffineMap& map, Scratch& scratch) {
  // Like Pillow's affine_fixed: 16 fractional bits.
  const auto fixed = [](double value) { return static_cast<std::int64_t>(std::floor(value * 65536.0 + 0.5)); };
  const std::span<std::byte> copy = scratch.take(image.bytes().size());
  std::memcpy(copy.data(), image.pixels, copy.size());
  const ConstImageView source(copy.data(), image.size(), image.channels);
  std::byte* out = image.pixels;
  const std::int64_t step_x = fixed(map.a);
  const std::int64_t step_y = fixed(map.d);
  std::int64_t row_x = fixed(map.c + map.a * 0.5 + map.b * 0.5);
  std::int64_t row_y = fixed(map.f + map.d * 0.5 + map.e * 0.5);
  for (std::size_t y = 0; y < image.height; ++y, row_x += fixed(map.b), row_y += fixed(map.e)) {
    std::int64_t at_x = row_x;
    std::int64_t at_y = row_y;
    for (std::size_t x = 0; x < image.width; ++x, at_x += step_x, at_y += step_y, out += image.channels) {
      const auto from_x = static_cast<std::size_t>(at_x >> 16);  // huge if negative
      const auto from_y = static_cast<std::size_t>(at_y >> 16);
      if (from_x < image.width && from_y < image.height) {
        std::memcpy(out, source.row(from_y) + from_x * image.channels, image.channels);
      } else {
        std::memset(out, 0, image.channels);
      }
    }
  }
}

AffineMap rotation(ImageSize size, double degrees) {
  const double angle = -degrees * std::numbers::pi / 180;
  const double cosine = std::cos(angle);
  const double sine = std::sin(angle);
  const double x = static_cast<double>(size.width) / 2;
  const double y = static_cast<double>(size.height) / 2;
  return {cosine, sine, x - cosine * x - sine * y, -sine, cosine, y + sine * x - cosine * y};
}

}  // namespace trainyard
