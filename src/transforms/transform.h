/// The interface of a sample transform, which runs in a worker on the image of a sample and on its mask, if any. A new
/// transform is one file in this folder that registers itself; docs/extending.md shows how.
#pragma once

#include <memory>
#include <optional>

#include "images/image.h"
#include "images/resample.h"
#include "transforms/arguments.h"
#include "util/random.h"
#include "util/registry.h"

namespace trainyard {

/// How a transform crops and scales an image.
struct Frame {
  Rect region;                       ///< kept; may extend beyond the image (black there) if nothing is scaled
  ImageSize size;                    ///< the size to which the region is scaled
  Filter filter = Filter::bilinear;  ///< with antialiasing
};

/// A transform of one sample: it either frames (always returns a frame) or changes pixels in place. It never executes a
/// frame itself: consecutive crops and resizes are done in one pass, and only the rows and columns of a file that they
/// keep are decoded. A frame acts on all spatial fields of the sample alike, on masks with nearest-neighbour sampling.
///
/// Called from many processes; must not keep state between calls except scratch memory. `random` is the stream of this
/// sample and this transform: it depends on (seed, epoch, sample, position among the transforms, name) alone.
class Transform {
 public:
  virtual ~Transform() = default;

  /// The frame for an image of this size. Throws RunError if the image cannot be framed.
  virtual std::optional<Frame> frame(ImageSize /*image*/, RandomStream /*random*/) const { return std::nullopt; }

  /// Changes pixels in place: 1 channel (grey) or 3 (RGB), any size. Not called for a transform that frames.
  virtual void apply(const ImageView& /*image*/, RandomStream /*random*/) {}

  /// Changes a mask in place, 1 channel of class indices, as apply() changes the image's geometry; it is called with
  /// the same stream. Does nothing for a transform of colours only.
  virtual void apply_to_mask(const ImageView& /*mask*/, RandomStream /*random*/) {}

  /// False for a transform that changes the image's geometry but cannot do the same to a mask: it is refused for
  /// samples with a mask.
  virtual bool supports_masks() const { return true; }

  /// Whether it does the same to an image in every epoch, without using `random`. Its result may then be cached.
  virtual bool is_deterministic() const { return false; }

  /// If the transform only flips image and mask horizontally when random.uniform() is below a number: that number.
  virtual std::optional<double> mirrors() const { return std::nullopt; }
};

struct TransformKind {
  static constexpr const char* name = "transform";
};

/// Factories query every argument of their transform.
using TransformRegistry = Registry<TransformKind, std::unique_ptr<Transform>(TransformArguments&)>;

}  // namespace trainyard
