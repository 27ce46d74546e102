/// A picture on its way through the transforms: crops and scalings are noted, not done, until its pixels are needed.
/// Then they are done in one go, and of a file only the rows and columns that they keep are decoded.
#pragma once

#include <array>

#include "config/choices.h"
#include "images/decode_image.h"
#include "transforms/transform.h"

namespace trainyard {

/// For one sample; uses the memory of its `Memory`, which it leaves to the next. For one thread.
class LazyImage {
 public:
  /// How its pixels are treated.
  struct Kind {
    std::size_t channels = 3;
    DecodeMode mode = DecodeMode::exact;  ///< of files
    bool nearest = false;                 ///< scaling takes the nearest pixel, as it must of a mask
    std::byte outside{0};                 ///< what is outside of the picture
  };
  struct Memory {
    Scratch decoded;
    Scratch resampling;
    std::array<Scratch, 2> pixels;
  };

  /// Of a file. The reader must outlive it.
  LazyImage(ImageReader& reader, const Kind& kind, Memory& memory);
  /// Of pixels, which must outlive it and are not changed.
  LazyImage(const ConstImageView& pixels, const Kind& kind, Memory& memory);

  /// Its size with what has been noted.
  ImageSize size() const { return window_.size(); }
  std::size_t channels() const { return kind_.channels; }
  /// Notes a crop or a scaling. Throws RunError for one that it cannot do.
  void frame(const Frame& frame);
  /// Does what has been noted; the result is in its memory and may be changed.
  ImageView pixels();
  /// Does what has been noted straight into `out`, which has room for size() pixels. Nothing may follow.
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
  int used_ = -1;  ///< which of memory_.pixels view_ lies in

  // What has been noted: the region of the source is scaled, and of the result the window is kept. Only where nothing
  // is scaled, or by the last crop, may the window stick out.
  Rect region_;
  ImageSize scaled_;
  Filter filter_ = Filter::bilinear;
  Rect window_;
};

}  // namespace trainyard
