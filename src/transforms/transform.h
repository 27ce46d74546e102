/// What a sample transform is: run in a worker, on the image of a sample and its mask, if it has one. A new one is one
/// file here that registers itself; docs/extending.md shows how.
#pragma once

#include <memory>
#include <optional>

#include "images/image.h"
#include "images/resample.h"
#include "transforms/arguments.h"
#include "util/random.h"
#include "util/registry.h"

namespace trainyard {

/// How a transform cuts and scales a picture.
struct Frame {
  Rect region;                       ///< what is kept of it. May stick out where nothing is scaled; it is black there
  ImageSize size;                    ///< what the region is scaled to
  Filter filter = Filter::bilinear;  ///< with antialias
};

/// A transform of one sample: either it frames (returns a frame, always) or it changes pixels in place. It never does
/// the work of framing itself: crops and scalings that follow one another are done in one go, and of a file only those
/// rows and columns are decoded that they keep. A frame acts on all spatial fields of the sample alike, on masks with
/// the nearest pixel.
///
/// Called from many processes; must not keep state between calls other than scratch memory. `random` is this sample's
/// and this transform's own stream: it depends on (seed, epoch, sample, place among the transforms, name) alone.
class Transform {
 public:
  virtual ~Transform() = default;

  /// The frame for a picture of this size. Throws RunError for one that it cannot frame.
  virtual std::optional<Frame> frame(ImageSize /*image*/, RandomStream /*random*/) const { return std::nullopt; }

  /// Changes pixels: 1 channel (grey) or 3 (RGB), any size. Not called for a transform that frames.
  virtual void apply(const ImageView& /*image*/, RandomStream /*random*/) {}

  /// Changes a mask in place, 1 channel of class numbers, as apply() changes the image's geometry: called with the same
  /// stream. Nothing for a transform of colours alone.
  virtual void apply_to_mask(const ImageView& /*mask*/, RandomStream /*random*/) {}

  /// False for a transform that changes the image's geometry and cannot do the same to a mask: samples with a mask are
  /// refused.
  virtual bool supports_masks() const { return true; }

  /// Whether it does the same to a picture in every epoch, without a look at `random`. Then its work may be kept.
  virtual bool is_deterministic() const { return false; }

  /// If all it does, to image and mask, is to mirror left and right when random.uniform() is under a number: that
  /// number.
  virtual std::optional<double> mirrors() const { return std::nullopt; }
};

struct TransformKind {
  static constexpr const char* name = "transform";
};

/// Factories ask for every argument that their transform has.
using TransformRegistry = Registry<TransformKind, std::unique_ptr<Transform>(TransformArguments&)>;

}  // namespace trainyard
