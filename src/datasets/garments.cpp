// Scenes of garments: three to five images of Fashion-MNIST, 40 to 56 pixels per side, on a textured background of 96
// × 96, about one in each quarter and a fifth in the middle below them, partly hiding one another. For segmentation
// each pixel has a class: the background, or the topmost garment. For multi-label classification a scene has the labels
// of the ten kinds of garments of which at least 64 pixels are visible.
//
// Nothing is stored: a sample is a function of (split, index) and of Fashion-MNIST's files.
#include <algorithm>
#include <array>
#include <cstring>

#include "config/component.h"
#include "datasets/fashion_mnist.h"
#include "images/resample.h"
#include "util/random.h"

namespace trainyard {
namespace {

constexpr std::size_t side = 96;
constexpr std::size_t image_side = 28;
constexpr std::size_t least_extent = 40;
constexpr std::size_t largest_extent = 56;
constexpr std::size_t shift = 5;               // maximum offset of a garment's center from its nominal position
constexpr std::size_t ground_levels = 5;       // points per side of the grid from which the background is interpolated
constexpr std::uint8_t least_of_garment = 20;  // darker pixels are not part of a garment, unless surrounded by it

constexpr std::size_t least_visible = 64;  // pixels required for a label

/// The target of a scene.
enum class Target : std::uint8_t { mask, labels };
constexpr std::array<const char*, 2> words_of(Target) { return {"mask", "labels"}; }

struct GarmentSettings {
  Target target = Target::mask;
  std::int64_t samples = 6'000;

  void declare(SettingTable& table) {
    table.add("target", target, "mask, a class per pixel; labels, which garments are visible", Resume::fixed);
    table.add("samples", samples, "scenes in train; val and test have a fifth as many each", whole(1, 1'000'000'000),
              Resume::fixed);
  }
};
const ComponentSettings<GarmentSettings> settings{"data.garments", {"garments"}, __FILE__};

// Returns the dark pixels connected to the edge by dark pixels.
std::vector<bool> outside_of(const Image& garment) {
  const std::size_t width = garment.width;
  std::vector<bool> outside(garment.pixels.size());
  std::vector<std::size_t> reached;
  const auto reach = [&](std::size_t place) {
    if (outside[place] || std::to_integer<std::uint8_t>(garment.pixels[place]) >= least_of_garment) return;
    outside[place] = true;
    reached.push_back(place);
  };
  for (std::size_t i = 0; i < width; ++i) {
    for (const std::size_t place : {i, (garment.height - 1) * width + i, i * width, i * width + width - 1})
      reach(place);
  }
  while (!reached.empty()) {
    const std::size_t place = reached.back();
    reached.pop_back();
    if (place % width > 0) reach(place - 1);
    if (place % width + 1 < width) reach(place + 1);
    if (place >= width) reach(place - width);
    if (place + width < outside.size()) reach(place + width);
  }
  return outside;
}

struct Place {
  std::size_t y;
  std::size_t x;
};

/// A garment in a scene.
struct Garment {
  Image image;
  std::vector<bool> is_outside;  ///< transparent pixels of the image
  std::uint8_t label = 0;        ///< its class in the mask
  std::size_t top = 0;
  std::size_t left = 0;
};

class Garments final : public Dataset {
 public:
  Garments(const DataConfig& config, Split split)
      : source_(garment_images(config, split)),
        target_(settings.in(config).target),
        split_key_(key_of({key_of("garments"), key_of(to_string(split))})) {
    size_ = synthetic_samples(settings.in(config).samples, split);
    class_names_ = source_.all->class_names();
    if (target_ == Target::mask) class_names_.insert(class_names_.begin(), "ground");
    const auto classes = static_cast<std::int64_t>(class_names_.size());
    fields_ = {{.name = "image", .shape = {side, side, 1}},
               target_ == Target::mask ? Field{.name = "mask", .shape = {side, side}, .values = ValueRange{classes}}
                                       : Field{.name = "labels", .shape = {classes}, .values = ValueRange{2}}};
  }

  std::size_t size() const override { return size_; }
  const std::vector<Field>& fields() const override { return fields_; }
  const std::vector<std::string>& class_names() const override { return class_names_; }
  std::vector<float> channel_mean() const override { return {0.4562F}; }
  std::vector<float> channel_std() const override { return {0.2234F}; }
  std::uint64_t fingerprint() const override {
    return key_of(
        {split_key_, source_.all->fingerprint(), size_, source_.first, source_.count, key_of(fields_[1].name)});
  }

  void read(std::size_t index, RandomStream /*random*/, Sample& sample) const override {
    if (target_ == Target::mask) return paint(index, sample.elements(0), sample.elements(1));
    std::array<std::byte, side * side> mask;
    paint(index, sample.elements(0), mask);
    std::array<std::size_t, 256> visible{};  // pixels of each class in a mask
    for (const std::byte label : mask) ++visible[std::to_integer<std::size_t>(label)];
    const std::span<std::byte> labels = sample.elements(1);
    for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = std::byte{visible.at(i + 1) >= least_visible};
  }

 private:
  void paint(std::size_t index, std::span<std::byte> image, std::span<std::byte> mask) const {
    RandomStream random(key_of({split_key_, index}));
    paint_ground(random, image);
    std::ranges::fill(mask, std::byte{0});
    const std::uint64_t count = 3 + random.below(3);
    if (count > 4) put(draw_garment(random, {side / 2, side / 2}), image, mask);
    std::array<Place, 4> quarters{
        {{side / 4, side / 4}, {side / 4, side * 3 / 4}, {side * 3 / 4, side / 4}, {side * 3 / 4, side * 3 / 4}}};
    for (std::size_t i = 0; i < std::min<std::size_t>(count, 4); ++i) {
      std::swap(quarters.at(i), quarters.at(i + random.below(4 - i)));
      put(draw_garment(random, quarters.at(i)), image, mask);
    }
  }

  // Paints a smooth surface with noise, so that a pixel's brightness alone does not separate background and garment.
  static void paint_ground(RandomStream& random, std::span<std::byte> image) {
    std::array<std::size_t, ground_levels * ground_levels> levels{};
    for (std::size_t& level : levels) level = 30 + random.below(120);
    constexpr std::size_t step = side / (ground_levels - 1);
    for (std::size_t y = 0; y < side; ++y) {
      for (std::size_t x = 0; x < side; ++x) {
        const auto level = [&](std::size_t down, std::size_t right) {
          return levels.at((y / step + down) * ground_levels + x / step + right);
        };
        const std::size_t fy = y % step;
        const std::size_t fx = x % step;
        const std::size_t above = level(0, 0) * (step - fx) + level(0, 1) * fx;
        const std::size_t below = level(1, 0) * (step - fx) + level(1, 1) * fx;
        const std::size_t smooth = (above * (step - fy) + below * fy) / (step * step);
        image[y * side + x] = static_cast<std::byte>(smooth + random.below(31) - 15);  // 15 to 164
      }
    }
  }

  // Draws a garment with its center near there.
  Garment draw_garment(RandomStream& random, Place center) const {
    Sample sample;
    source_.draw(random, sample);
    const std::size_t extent = least_extent + random.below(largest_extent - least_extent + 1);
    std::int64_t label = 0;
    std::memcpy(&label, sample.place(1).data(), sizeof label);
    Garment garment;
    garment.image = resize(ConstImageView(sample.place(0).data(), {image_side, image_side}, 1), {extent, extent});
    garment.is_outside = outside_of(garment.image);
    garment.label = static_cast<std::uint8_t>(label + 1);
    const auto begin = [&](std::size_t middle) {
      const std::size_t shifted = middle + random.below(2 * shift + 1) - shift;
      return std::min(shifted - std::min(shifted, extent / 2), side - extent);
    };
    garment.top = begin(center.y);
    garment.left = begin(center.x);
    return garment;
  }

  static void put(const Garment& garment, std::span<std::byte> image, std::span<std::byte> mask) {
    const Image& patch = garment.image;
    for (std::size_t y = 0; y < patch.height; ++y) {
      for (std::size_t x = 0; x < patch.width; ++x) {
        if (garment.is_outside[y * patch.width + x]) continue;
        const std::size_t place = (garment.top + y) * side + garment.left + x;
        image[place] = patch.pixels[y * patch.width + x];
        mask[place] = std::byte{garment.label};
      }
    }
  }

  GarmentImages source_;
  Target target_;
  std::uint64_t split_key_;
  std::size_t size_ = 0;
  std::vector<std::string> class_names_;
  std::vector<Field> fields_;
};

std::unique_ptr<Dataset> make_garments(const DataConfig& config, Split split) {
  return std::make_unique<Garments>(config, split);
}

const DatasetRegistry::Registration registered{
    "garments", "96x96 scenes of Fashion-MNIST's garments, with one class per pixel or with labels", make_garments,
    __FILE__};

}  // namespace
}  // namespace trainyard
