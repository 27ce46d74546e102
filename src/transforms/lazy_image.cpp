#include "transforms/lazy_image.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "util/error.h"

namespace trainyard {
namespace {

Rect moved(const Rect& rect, std::ptrdiff_t down, std::ptrdiff_t right) {
  return {rect.top + down, rect.left + right, rect.height, rect.width};
}

// Returns the part of `rect` within an image of this size; it may be empty.
Rect inside(const Rect& rect, ImageSize size) {
  const std::ptrdiff_t top = std::max<std::ptrdiff_t>(rect.top, 0);
  const std::ptrdiff_t left = std::max<std::ptrdiff_t>(rect.left, 0);
  const std::ptrdiff_t bottom = std::min(rect.bottom(), static_cast<std::ptrdiff_t>(size.height));
  const std::ptrdiff_t right = std::min(rect.right(), static_cast<std::ptrdiff_t>(size.width));
  if (bottom <= top || right <= left) return {};
  return {top, left, static_cast<std::size_t>(bottom - top), static_cast<std::size_t>(right - left)};
}

// Returns the inputs of `count` outputs from index `first` on, if `from` inputs are resized to `to`: torch's
// interpolation mode "nearest", which torchvision uses for masks, with the same arithmetic.
std::vector<std::size_t> nearest_inputs(std::size_t from, std::size_t to, std::ptrdiff_t first, std::size_t count) {
  const float scale = static_cast<float>(from) / static_cast<float>(to);
  std::vector<std::size_t> inputs(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto output = static_cast<std::size_t>(first) + i;
    const auto input = static_cast<std::size_t>(std::floor(static_cast<float>(output) * scale));
    inputs[i] = std::min(input, from - 1);
  }
  return inputs;
}

void copy_rows(const ConstImageView& from, std::byte* to, std::size_t to_row_bytes) {
  for (std::size_t y = 0; y < from.height; ++y) {
    std::memcpy(to + y * to_row_bytes, from.row(y), from.width * from.channels);
  }
}

// Returns the factor by which decoding may shrink: the result is still at least as large as wanted.
std::size_t shrink_for(const ImageReader& reader, ImageSize region, ImageSize wanted) {
  for (const std::size_t shrink : {8, 4, 2}) {
    const bool enough = region.height >= wanted.height * shrink && region.width >= wanted.width * shrink;
    if (enough && reader.can_shrink(shrink)) return shrink;
  }
  return 1;
}

}  // namespace

LazyImage::LazyImage(ImageReader& reader, const Kind& kind, Memory& memory)
    : memory_(memory), reader_(&reader), kind_(kind) {
  start_from(reader.size());
}

LazyImage::LazyImage(const ConstImageView& pixels, const Kind& kind, Memory& memory)
    : memory_(memory), view_(pixels), kind_(kind) {
  kind_.channels = pixels.channels;
  start_from(pixels.size());
}

void LazyImage::start_from(ImageSize source) {
  region_ = Rect::whole(source);
  scaled_ = source;
  window_ = Rect::whole(source);
}

void LazyImage::frame(const Frame& frame) {
  const Rect& cut = frame.region;
  if (cut.size() == frame.size) {
    // Pixels outside the image are black; they must not show what an earlier crop has cut off.
    if (!cut.lies_in(size()) && window_ != Rect::whole(scaled_)) pixels();
    window_ = {window_.top + cut.top, window_.left + cut.left, cut.height, cut.width};
    return;
  }
  if (!cut.lies_in(size())) {
    throw RunError("transform", "a region of {} x {} at ({}, {}) is not inside an image of {} x {}, and only crops may",
                   cut.width, cut.height, cut.left, cut.top, size().width, size().height);
  }
  if (scales() || !window_.lies_in(scaled_)) pixels();
  region_ = moved(cut, region_.top + window_.top, region_.left + window_.left);
  scaled_ = frame.size;
  filter_ = frame.filter;
  window_ = Rect::whole(scaled_);
}

std::optional<Framing> LazyImage::framing() const {
  if (reader_ == nullptr) return std::nullopt;
  const Rect kept = inside(window_, scaled_);
  if (kept.height == 0) return std::nullopt;
  if (scales()) return Framing{region_, scaled_, filter_, window_};
  return Framing{moved(kept, region_.top, region_.left), kept.size(), filter_, moved(window_, -kept.top, -kept.left)};
}

ImageView LazyImage::pixels() {
  const ImageSize result = size();
  const bool done = used_ >= 0 && reader_ == nullptr && region_ == Rect::whole(view_.size()) && !scales() &&
                    window_ == Rect::whole(scaled_);
  if (!done) {
    const int next = used_ == 0 ? 1 : 0;
    std::byte* const memory =
        memory_.pixels.at(static_cast<std::size_t>(next)).take(result.height * result.width * kind_.channels).data();
    write_to(memory);
    used_ = next;
    reader_ = nullptr;
    view_ = ConstImageView(memory, result, kind_.channels);
    start_from(result);
  }
  return {const_cast<std::byte*>(view_.pixels), result.height, result.width, kind_.channels};  // points into memory_
}

void LazyImage::write_to(std::byte* out) {
  if (window_.lies_in(scaled_)) return produce(window_, out);
  const Rect kept = inside(window_, scaled_);
  const std::size_t row_bytes = window_.width * kind_.channels;
  std::memset(out, std::to_integer<int>(kind_.outside), window_.height * row_bytes);
  if (kept.height == 0) return;
  std::byte* const corner = out + static_cast<std::size_t>(kept.top - window_.top) * row_bytes +
                            static_cast<std::size_t>(kept.left - window_.left) * kind_.channels;
  if (reader_ == nullptr && !scales())
    return copy_rows(view_.part(moved(kept, region_.top, region_.left)), corner, row_bytes);
  Image piece{kept.height, kept.width, kind_.channels,
              std::vector<std::byte>(kept.height * kept.width * kind_.channels)};
  produce(kept, piece.pixels.data());
  copy_rows(piece, corner, row_bytes);
}

// REQUIRES that `window` lies within the scaled image.
void LazyImage::produce(const Rect& window, std::byte* out) {
  if (!scales()) {
    const Rect part = moved(window, region_.top, region_.left);
    if (reader_ != nullptr) return reader_->read(part, kind_.channels, 1, out);
    return copy_rows(view_.part(part), out, part.width * kind_.channels);
  }
  if (kind_.nearest) return produce_nearest(window, out);
  const std::size_t shrink =
      reader_ != nullptr && kind_.mode == DecodeMode::scaled ? shrink_for(*reader_, region_.size(), scaled_) : 1;
  const auto axis = [&](std::ptrdiff_t begin, std::ptrdiff_t end, std::size_t size, std::ptrdiff_t first,
                        std::size_t count) {
    return ResampleAxis(static_cast<double>(begin) / static_cast<double>(shrink),
                        static_cast<double>(end) / static_cast<double>(shrink), size, static_cast<std::size_t>(first),
                        count, filter_);
  };
  const ResampleAxis rows = axis(region_.top, region_.bottom(), scaled_.height, window.top, window.height);
  const ResampleAxis columns = axis(region_.left, region_.right(), scaled_.width, window.left, window.width);
  const Rect needed{static_cast<std::ptrdiff_t>(rows.source_begin()),
                    static_cast<std::ptrdiff_t>(columns.source_begin()), rows.source_count(), columns.source_count()};
  ConstImageView source;
  if (reader_ != nullptr) {
    std::byte* const memory = memory_.decoded.take(needed.height * needed.width * kind_.channels).data();
    reader_->read(needed, kind_.channels, shrink, memory);
    source = ConstImageView(memory, needed.size(), kind_.channels);
  } else {
    source = view_.part(needed);
  }
  resample(source, rows, columns, out, memory_.resampling);
}

void LazyImage::produce_nearest(const Rect& window, std::byte* out) {
  const std::vector<std::size_t> rows = nearest_inputs(region_.height, scaled_.height, window.top, window.height);
  const std::vector<std::size_t> columns = nearest_inputs(region_.width, scaled_.width, window.left, window.width);
  const Rect needed{region_.top + static_cast<std::ptrdiff_t>(rows.front()),
                    region_.left + static_cast<std::ptrdiff_t>(columns.front()), rows.back() - rows.front() + 1,
                    columns.back() - columns.front() + 1};
  ConstImageView source;
  if (reader_ != nullptr) {
    std::byte* const memory = memory_.decoded.take(needed.height * needed.width * kind_.channels).data();
    reader_->read(needed, kind_.channels, 1, memory);
    source = ConstImageView(memory, needed.size(), kind_.channels);
  } else {
    source = view_.part(needed);
  }
  for (const std::size_t y : rows) {
    const std::byte* const row = source.row(y - rows.front());
    for (const std::size_t x : columns) {
      out = std::copy_n(row + (x - columns.front()) * kind_.channels, kind_.channels, out);
    }
  }
}

}  // namespace trainyard
