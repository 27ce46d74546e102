#include "images/resample.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace trainyard {
namespace {

constexpr int weight_bits = 22;  // 8 bits of pixel and a sign leave that many of 32, with one to spare
constexpr std::int32_t half = 1 << (weight_bits - 1);

double triangle(double x) { return std::max(1 - std::abs(x), 0.0); }

// Keys' cubic convolution with a = -0.5.
double cubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

std::int32_t to_fixed_point(double weight) {
  return static_cast<std::int32_t>(weight * (1 << weight_bits) + (weight < 0 ? -0.5 : 0.5));
}

std::byte to_pixel(std::int32_t sum) { return static_cast<std::byte>(std::clamp(sum >> weight_bits, 0, 255)); }

// Vectors of GCC and clang: they become whatever instructions the function they are inlined into may use.
using Bytes8 [[gnu::vector_size(8)]] = std::uint8_t;
using Ints8 [[gnu::vector_size(32)]] = std::int32_t;

/// Two rows of RGB side by side, and where their results go. The same weights serve both.
struct RowPair {
  const std::byte* row[2];
  std::byte* out[2];
};

[[gnu::always_inline]] inline void expand_rgb(const RowPair& rows, std::size_t width, Ints8* wide) {
  for (std::size_t x = 0; x < width; ++x) {
    // Four bytes at a time, of which the fourth is the next pixel's and counts for nothing; the last pixel has no next.
    const std::size_t size = x + 1 < width ? 4 : 3;
    std::uint8_t pixels[8]{};
    std::memcpy(pixels, rows.row[0] + 3 * x, size);
    std::memcpy(pixels + 4, rows.row[1] + 3 * x, size);
    Bytes8 both;
    std::memcpy(&both, pixels, sizeof both);
    wide[x] = __builtin_convertvector(both, Ints8);
  }
}

[[gnu::always_inline]] inline void resample_rgb_rows(RowPair rows, const ResampleAxis& columns, Ints8* wide) {
  expand_rgb(rows, columns.source_count(), wide);
  for (const ResampleAxis::Window& window : columns.windows()) {
    const std::int32_t* const weights = columns.weights(window);
    const Ints8* const pixels = wide + window.first;
    Ints8 sum = Ints8{} + half;
    for (std::uint32_t i = 0; i < window.count; ++i) sum += pixels[i] * weights[i];
    sum >>= weight_bits;
    sum = sum < 0 ? Ints8{} : sum;
    sum = sum > 255 ? Ints8{} + 255 : sum;
    const Bytes8 both = __builtin_convertvector(sum, Bytes8);
    std::uint8_t result[8];
    std::memcpy(result, &both, sizeof both);
    std::memcpy(rows.out[0], result, 3);
    std::memcpy(rows.out[1], result + 4, 3);
    rows.out[0] += 3;
    rows.out[1] += 3;
  }
}

[[gnu::always_inline]] inline void add_weighted(Ints8& sum, const std::byte* bytes, std::int32_t weight) {
  Bytes8 pixels;
  std::memcpy(&pixels, bytes, sizeof pixels);
  sum += __builtin_convertvector(pixels, Ints8) * weight;
}

[[gnu::always_inline]] inline void store_pixels(Ints8& sum, std::byte* out) {
  sum >>= weight_bits;
  sum = sum < 0 ? Ints8{} : sum;
  sum = sum > 255 ? Ints8{} + 255 : sum;
  const Bytes8 pixels = __builtin_convertvector(sum, Bytes8);
  std::memcpy(out, &pixels, sizeof pixels);
}

// One output row from the input rows under its weights.
[[gnu::always_inline]] inline void resample_column_block(const std::byte* source, std::size_t source_row_bytes,
                                                         const std::int32_t* weights, std::size_t count,
                                                         std::size_t row_bytes, std::byte* out) {
  std::size_t x = 0;
  for (; x + 16 <= row_bytes; x += 16) {
    Ints8 low = Ints8{} + half;
    Ints8 high = Ints8{} + half;
    for (std::size_t i = 0; i < count; ++i) {
      const std::byte* const bytes = source + i * source_row_bytes + x;
      add_weighted(low, bytes, weights[i]);
      add_weighted(high, bytes + 8, weights[i]);
    }
    store_pixels(low, out + x);
    store_pixels(high, out + x + 8);
  }
  for (; x < row_bytes; ++x) {
    std::int32_t sum = half;
    for (std::size_t i = 0; i < count; ++i) {
      sum += weights[i] * std::to_integer<std::int32_t>(source[i * source_row_bytes + x]);
    }
    out[x] = to_pixel(sum);
  }
}

using RgbRows = void (*)(const RowPair&, const ResampleAxis&, Ints8*);
using ColumnBlock = void (*)(const std::byte*, std::size_t, const std::int32_t*, std::size_t, std::size_t, std::byte*);

struct Kernels {
  RgbRows rgb_rows;
  ColumnBlock column_block;
};

void rgb_rows_baseline(const RowPair& rows, const ResampleAxis& columns, Ints8* wide) {
  resample_rgb_rows(rows, columns, wide);
}
void column_block_baseline(const std::byte* source, std::size_t source_row_bytes, const std::int32_t* weights,
                           std::size_t count, std::size_t row_bytes, std::byte* out) {
  resample_column_block(source, source_row_bytes, weights, count, row_bytes, out);
}

#ifdef __x86_64__
[[gnu::target("avx2")]] void rgb_rows_avx2(const RowPair& rows, const ResampleAxis& columns, Ints8* wide) {
  resample_rgb_rows(rows, columns, wide);
}
[[gnu::target("avx2")]] void column_block_avx2(const std::byte* source, std::size_t source_row_bytes,
                                               const std::int32_t* weights, std::size_t count, std::size_t row_bytes,
                                               std::byte* out) {
  resample_column_block(source, source_row_bytes, weights, count, row_bytes, out);
}
#endif

const Kernels& kernels() {
#ifdef __x86_64__
  static const Kernels best = __builtin_cpu_supports("avx2") ? Kernels{rgb_rows_avx2, column_block_avx2}
                                                             : Kernels{rgb_rows_baseline, column_block_baseline};
#else
  static const Kernels best{rgb_rows_baseline, column_block_baseline};
#endif
  return best;
}

void resample_any_row(const std::byte* row, std::size_t channels, const ResampleAxis& columns, std::byte* out) {
  for (const ResampleAxis::Window& window : columns.windows()) {
    const std::int32_t* const weights = columns.weights(window);
    for (std::size_t c = 0; c < channels; ++c) {
      std::int32_t sum = half;
      const std::byte* in = row + window.first * channels + c;
      for (std::uint32_t i = 0; i < window.count; ++i, in += channels) {
        sum += weights[i] * std::to_integer<std::int32_t>(*in);
      }
      *out++ = to_pixel(sum);
    }
  }
}

void resample_rows(const ConstImageView& source, const ResampleAxis& columns, std::byte* out, Ints8* wide) {
  const std::size_t out_bytes = columns.count() * source.channels;
  if (source.channels != 3) {
    for (std::size_t y = 0; y < source.height; ++y) {
      resample_any_row(source.row(y), source.channels, columns, out + y * out_bytes);
    }
    return;
  }
  for (std::size_t y = 0; y < source.height; y += 2) {
    const std::size_t next = std::min(y + 1, source.height - 1);  // an odd last row is done twice
    kernels().rgb_rows({{source.row(y), source.row(next)}, {out + y * out_bytes, out + next * out_bytes}}, columns,
                       wide);
  }
}

}  // namespace

ResampleAxis::ResampleAxis(double begin, double end, std::size_t size, std::size_t first, std::size_t count,
                           Filter filter) {
  const double scale = (end - begin) / static_cast<double>(size);
  const double stretch = std::max(scale, 1.0);
  const double radius = (filter == Filter::bilinear ? 1.0 : 2.0) * stretch;
  // Relative to the first input, so that a piece of a picture gives the bytes that the piece alone would.
  const double base = std::floor(begin);
  const double offset = begin - base;
  const auto inputs = static_cast<std::size_t>(std::ceil(end - base));
  copies_ = scale == 1 && offset == 0;
  windows_.reserve(count);
  std::vector<double> exact;
  for (std::size_t out = first; out < first + count; ++out) {
    const double center = offset + (static_cast<double>(out) + 0.5) * scale;
    const auto low = static_cast<std::size_t>(std::max(center - radius + 0.5, 0.0));
    const auto high = std::min(static_cast<std::size_t>(center + radius + 0.5), inputs);
    exact.clear();
    double sum = 0;
    for (std::size_t in = low; in < high; ++in) {
      const double distance = (static_cast<double>(in) - center + 0.5) / stretch;
      exact.push_back(filter == Filter::bilinear ? triangle(distance) : cubic(distance));
      sum += exact.back();
    }
    windows_.push_back({static_cast<std::uint32_t>(low), static_cast<std::uint32_t>(high - low),
                        static_cast<std::uint32_t>(weights_.size())});
    for (const double weight : exact) weights_.push_back(to_fixed_point(weight / sum));
  }
  if (copies_) {
    windows_.clear();
    weights_.assign(1, 1 << weight_bits);
    for (std::size_t out = 0; out < count; ++out) {
      windows_.push_back({static_cast<std::uint32_t>(first + out), 1, 0});
    }
  }
  const std::uint32_t skipped = windows_.front().first;
  source_begin_ = static_cast<std::size_t>(base) + skipped;
  source_count_ = windows_.back().first + windows_.back().count - skipped;
  for (Window& window : windows_) window.first -= skipped;
}

void resample(const ConstImageView& source, const ResampleAxis& rows, const ResampleAxis& columns, std::byte* out,
              Scratch& scratch) {
  const std::size_t row_bytes = columns.count() * source.channels;
  ConstImageView across = source;  // at its new width
  if (!columns.copies()) {
    const std::size_t wide_bytes = source.width * sizeof(Ints8);
    const std::size_t across_bytes = rows.copies() ? 0 : source.height * row_bytes;
    // Aligned to its size: alignof is less where this file may not use AVX, but the kernels with AVX count on it.
    std::byte* const memory = scratch.take(sizeof(Ints8) + wide_bytes + across_bytes).data();
    auto* const wide = reinterpret_cast<Ints8*>((reinterpret_cast<std::uintptr_t>(memory) + sizeof(Ints8) - 1) /
                                                sizeof(Ints8) * sizeof(Ints8));
    std::byte* const to = rows.copies() ? out : reinterpret_cast<std::byte*>(wide) + wide_bytes;
    resample_rows(source, columns, to, wide);
    if (rows.copies()) return;
    across = ConstImageView(to, {source.height, columns.count()}, source.channels);
  }
  for (const ResampleAxis::Window& window : rows.windows()) {
    if (rows.copies()) {
      std::memcpy(out, across.row(window.first), row_bytes);
    } else {
      kernels().column_block(across.row(window.first), across.row_bytes, rows.weights(window), window.count, row_bytes,
                             out);
    }
    out += row_bytes;
  }
}

Image resize(const ConstImageView& image, ImageSize size, Filter filter) {
  const auto axis = [&](std::size_t from, std::size_t to) {
    return ResampleAxis(0, static_cast<double>(from), to, 0, to, filter);
  };
  Image result{size.height, size.width, image.channels,
               std::vector<std::byte>(size.height * size.width * image.channels)};
  Scratch scratch;
  resample(image, axis(image.height, size.height), axis(image.width, size.width), result.pixels.data(), scratch);
  return result;
}

}  // namespace trainyard
