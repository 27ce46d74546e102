#include "images/resample.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "images/resample_kernels.h"

namespace trainyard {
namespace {

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

WeightPair pair_of(std::int32_t first, std::int32_t second) {
  const auto high = [](std::int32_t weight) { return static_cast<std::int16_t>((weight + 128) >> 8); };
  const auto low = [&](std::int32_t weight) { return static_cast<std::int16_t>(weight - high(weight) * 256); };
  return {{high(first), high(second)}, {low(first), low(second)}};
}

// The bytes of a row plus those that may be read after it.
std::size_t row_room(const ConstImageView& source) {
  return source.width * source.channels + ResampleKernels::row_margin;
}

// The horizontal pass. `copies` has space for two rows.
void resample_rows(const ConstImageView& source, const ResampleAxis& columns, std::byte* out, std::byte* copies) {
  const std::size_t out_bytes = columns.count() * source.channels;
  if (source.channels != 3) {
    for (std::size_t y = 0; y < source.height; ++y) {
      resample_row(source.row(y), source.channels, columns, out + y * out_bytes);
    }
    return;
  }
  const std::size_t bytes = source.width * source.channels;
  const std::size_t room = row_room(source);
  const std::byte* const end = source.row(source.height - 1) + bytes;
  // The last rows are copied to memory with a margin after them.
  const auto row = [&](std::size_t y, std::byte* copy) {
    const std::byte* const original = source.row(y);
    if (end - original >= static_cast<std::ptrdiff_t>(room)) return original;
    std::memcpy(copy, original, bytes);
    return static_cast<const std::byte*>(copy);
  };
  for (std::size_t y = 0; y < source.height; y += 2) {
    const std::size_t next = std::min(y + 1, source.height - 1);  // an odd last row is computed twice
    const std::byte* const rows[2] = {row(y, copies), row(next, copies + room)};
    std::byte* const results[2] = {out + y * out_bytes, out + next * out_bytes};
    best_resample_kernels().rgb_rows(rows, columns, results);
  }
}

// The vertical pass.
void resample_columns(const ConstImageView& source, const ResampleAxis& rows, std::byte* out) {
  const std::size_t bytes = source.width * source.channels;
  for (const ResampleAxis::Window& window : rows.windows()) {
    if (rows.is_identity()) {
      std::memcpy(out, source.row(window.first), bytes);
    } else {
      best_resample_kernels().column(source.row(window.first), source.row_bytes, rows, window, bytes, out);
    }
    out += bytes;
  }
}

}  // namespace

ResampleAxis::ResampleAxis(double begin, double end, std::size_t size, std::size_t first, std::size_t count,
                           Filter filter) {
  const double scale = (end - begin) / static_cast<double>(size);
  const double stretch = std::max(scale, 1.0);
  // Relative to the first input, so that cropping before resampling does not change the result.
  const double base = std::floor(begin);
  const double offset = begin - base;
  const auto inputs = static_cast<std::size_t>(std::ceil(end - base));
  shrinks_by_ = static_cast<std::ptrdiff_t>(inputs) - static_cast<std::ptrdiff_t>(size);
  is_identity_ = scale == 1 && offset == 0;
  const double radius = is_identity_ ? 0.5 : (filter == Filter::bilinear ? 1.0 : 2.0) * stretch;
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
    if (weights_.size() % 2 == 1) weights_.push_back(0);
  }
  for (std::size_t i = 0; i < weights_.size(); i += 2) pairs_.push_back(pair_of(weights_[i], weights_[i + 1]));
  const std::uint32_t skipped = windows_.front().first;
  source_begin_ = static_cast<std::size_t>(base) + skipped;
  source_count_ = windows_.back().first + windows_.back().count - skipped;
  for (Window& window : windows_) window.first -= skipped;
}

void resample(const ConstImageView& source, const ResampleAxis& rows, const ResampleAxis& columns, std::byte* out,
              Scratch& scratch) {
  if (columns.is_identity()) return resample_columns(source, rows, out);
  const std::size_t copies = 2 * row_room(source);
  if (rows.is_identity()) return resample_rows(source, columns, out, scratch.take(copies).data());
  const bool columns_first = rows.shrinks_by() > 0 && rows.shrinks_by() > 2 * columns.shrinks_by();
  const ImageSize size =
      columns_first ? ImageSize{rows.count(), source.width} : ImageSize{source.height, columns.count()};
  std::byte* const memory = scratch.take(copies + size.height * size.width * source.channels).data();
  const ConstImageView between(memory + copies, size, source.channels);
  if (columns_first) {
    resample_columns(source, rows, memory + copies);
    resample_rows(between, columns, out, memory);
  } else {
    resample_rows(source, columns, memory + copies, memory);
    resample_columns(between, rows, out);
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
