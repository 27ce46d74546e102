// resize(size=256): resizes the shorter side to `size` and keeps the aspect ratio, like torchvision's Resize(size);
// resize(height=224, width=224): resizes to exactly that size. interpolation=bilinear or bicubic, with antialiasing.
#include "transforms/transform.h"
#include "util/error.h"

namespace trainyard {
namespace {

class Resize final : public Transform {
 public:
  Resize(std::size_t shorter, ImageSize fixed, Filter filter) : shorter_(shorter), fixed_(fixed), filter_(filter) {}

  std::optional<Frame> frame(ImageSize image, RandomStream) const override {
    return Frame{Rect::whole(image), shorter_ > 0 ? scaled(image) : fixed_, filter_};
  }

  bool is_deterministic() const override { return true; }

 private:
  ImageSize scaled(ImageSize image) const {
    const auto longer = [&](std::size_t a, std::size_t b) {  // rounded down, as in torchvision
      const std::size_t length = shorter_ * a / b;
      if (length <= max_image_pixels / shorter_) return length;
      throw RunError("transform", "resize(size={}) of {} x {} pixels would have over {}", shorter_, image.width,
                     image.height, max_image_pixels);
    };
    return image.height < image.width ? ImageSize{shorter_, longer(image.width, image.height)}
                                      : ImageSize{longer(image.height, image.width), shorter_};
  }

  std::size_t shorter_;  ///< 0: fixed_ is used
  ImageSize fixed_;
  Filter filter_;
};

std::unique_ptr<Transform> make_resize(TransformArguments& arguments) {
  const bool fixed = arguments.has("height") || arguments.has("width");
  if (fixed && (arguments.has("size") || !arguments.has("height") || !arguments.has("width"))) {
    throw UsageError("transform", "resize takes either size (of the shorter side) or both height and width");
  }
  const auto extent = [&](const char* key) { return static_cast<std::size_t>(arguments.whole(key, 256, 1, 8192)); };
  const std::size_t size = extent("size");
  const ImageSize exact{extent("height"), extent("width")};
  const bool bicubic = arguments.word("interpolation", {"bilinear", "bicubic"}) == "bicubic";
  return std::make_unique<Resize>(fixed ? 0 : size, exact, bicubic ? Filter::bicubic : Filter::bilinear);
}

const TransformRegistry::Registration registered{
    "resize",
    "resize(size=256, interpolation=bilinear): scales the shorter side to size; or resize(height=.., width=..)",
    make_resize, __FILE__};

}  // namespace
}  // namespace trainyard
