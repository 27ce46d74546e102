/// Applies transforms to an image lazily: crops and resizes are recorded until its pixels are needed. They are then
/// done in one pass, and only the rows and columns of a file that they keep are decoded.
#pragma once

#include <array>
#include <optional>

#include "config/choices.h"
#include "images/decode_image.h"
#include "transforms/transform.h"

namespace trainyard {

/// What crops and resizes amount to: `region` of the upright image is scaled to `scaled`, and `window` of the result is
/// kept. The region lies in the image; what the window shows beyond the scaled region is black.
struct Framing {
  Rect region;
  ImageSize scaled;
  Filter filter = Filter::bilinear;
  Rect window;
};

/// For one sample; its buffers are in `Memory`, which the next sample reuses. Not thread-safe.
class LazyImage {
 public:
  /// How its pixels are processed.
  struct Kind {
    std::size_t channels = 3;
    DecodeMode mode = DecodeMode::exact;  ///< for files
    bool nearest = false;                 ///< scaling takes the nearest pixel, as required for masks
    std::byte outside{0};                 ///< value outside the image
  };
  struct Memory {
    Scratch decoded;
    Scratch resampling;
    std::array<Scratch, 2> pixels;
  };

  /// From a file. The reader must outlive it.
  LazyImage(ImageReader& reader, const Kind& kind, Memory& memory);
  /// From pixels, which must outlive it and are not changed.
  LazyImage(const ConstImageView& pixels, const Kind& kind, Memory& memory);

  /// Its size after the recorded operations.
  ImageSize size() const { return window_.size(); }
  std::size_t channels() const { return kind_.channels; }
  /// Records a crop or a resize. Throws RunError if it is impossible.
  void frame(const Frame& frame);
  /// The recorded operations; nullopt if they are not those of a file, if some have been executed already, or if
  /// nothing of the image is kept.
  std::optional<Framing> framing() const;
  /// Executes the recorded operations; the result is in its memory and may be changed.
  ImageView pixels();
  /// Executes the recorded operations directly into `out`, which has space for size() pixels. Must be the last call.
  void write_to(std::byte* out);

 private:
  void start_from(ImageSize source);
  bool scales() const { return region_.size() != scaled_; }
  void produce(const Rect& window, std::byte* out);
  void produce_nearest(const Rect& window, std::byte* out);

  Memory& memory_;
  ImageReader* reader_ = nullptr;  ///< null: the pixels are in view_
  ConstImageView view_;
  Kind kind_;
  int used_ = -1;  ///< index in memory_.pixels of the buffer that view_ points to

  // The recorded operations: the region of the source is scaled, and the window of the result is kept. The window may
  // extend beyond the image only if nothing is scaled, or in the last crop.
  Rect region_;
  ImageSize scaled_;
  Filter filter_ = Filter::bilinear;
  Rect window_;
};

}  // namespace trainyard
