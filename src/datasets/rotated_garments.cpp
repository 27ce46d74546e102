// Rotated garments, for regression: one image of Fashion-MNIST in 40 × 40 pixels, rotated about its center by an
// angle of up to 60 degrees, which is the target. The original images are upright, so the angle is visible in most of
// them.
//
// Nothing is stored: a sample is a function of (split, index) and of Fashion-MNIST's files.
#include <cmath>
#include <numbers>

#include "config/component.h"
#include "datasets/fashion_mnist.h"
#include "util/random.h"

namespace trainyard {
namespace {

constexpr std::size_t side = 40;  // diagonal of a garment
constexpr std::size_t garment_side = 28;
constexpr double largest_angle = 60;  // degrees

struct RotatedGarmentSettings {
  std::int64_t samples = 20'000;

  void declare(SettingTable& table) {
    table.add("samples", samples, "samples in train; val and test have a fifth as many each", whole(1, 1'000'000'000),
              Resume::fixed);
  }
};
const ComponentSettings<RotatedGarmentSettings> settings{"data.rotated_garments", {"rotated_garments"}, __FILE__};

// Interpolates `source`, which is black outside, bilinearly.
double value_at(std::span<const std::byte> source, double y, double x) {
  const double top = std::floor(y);
  const double left = std::floor(x);
  const auto pixel = [&](double row, double column) -> double {
    constexpr auto end = static_cast<double>(garment_side);
    if (row < 0 || column < 0 || row >= end || column >= end) return 0;
    return std::to_integer<std::uint8_t>(
        source[static_cast<std::size_t>(row) * garment_side + static_cast<std::size_t>(column)]);
  };
  const double above = std::lerp(pixel(top, left), pixel(top, left + 1), x - left);
  const double below = std::lerp(pixel(top + 1, left), pixel(top + 1, left + 1), x - left);
  return std::lerp(above, below, y - top);
}

// Rotates `source` counterclockwise by `degrees`.
void rotate(std::span<const std::byte> source, double degrees, std::span<std::byte> out) {
  const double angle = degrees * std::numbers::pi / 180;
  const double cosine = std::cos(angle);
  const double sine = std::sin(angle);
  constexpr double centre = (static_cast<double>(side) - 1) / 2;
  constexpr double source_centre = (static_cast<double>(garment_side) - 1) / 2;
  for (std::size_t row = 0; row < side; ++row) {
    for (std::size_t column = 0; column < side; ++column) {
      const double y = static_cast<double>(row) - centre;
      const double x = static_cast<double>(column) - centre;
      const double value =
          value_at(source, cosine * y + sine * x + source_centre, cosine * x - sine * y + source_centre);
      out[row * side + column] = static_cast<std::byte>(std::lround(value));
    }
  }
}

class RotatedGarments final : public Dataset {
 public:
  RotatedGarments(const DataConfig& config, Split split)
      : source_(garment_images(config, split)),
        split_key_(key_of({key_of("rotated_garments"), key_of(to_string(split))})) {
    size_ = synthetic_samples(settings.in(config).samples, split);
  }

  std::size_t size() const override { return size_; }
  const std::vector<Field>& fields() const override { return fields_; }
  std::vector<float> channel_mean() const override { return {0.1401F}; }
  std::vector<float> channel_std() const override { return {0.2771F}; }
  std::uint64_t fingerprint() const override {
    return key_of({split_key_, source_.all->fingerprint(), size_, source_.first, source_.count});
  }

  void read(std::size_t index, RandomStream /*random*/, Sample& sample) const override {
    RandomStream random(key_of({split_key_, index}));
    Sample garment;
    source_.draw(random, garment);
    const double degrees = largest_angle * (2 * random.uniform() - 1);
    rotate(garment.place(0), degrees, sample.elements(0));
    sample.set(1, static_cast<float>(degrees));
  }

 private:
  GarmentImages source_;
  std::uint64_t split_key_;
  std::size_t size_ = 0;
  std::vector<Field> fields_{{.name = "image", .shape = {side, side, 1}},
                             {.name = "target",
                              .dtype = DType::float32,
                              .columns = {{.name = "angle in degrees",
                                           .mean = 0,
                                           .std = largest_angle / std::numbers::sqrt3}}}};  // uniform distribution
};

std::unique_ptr<Dataset> make_rotated_garments(const DataConfig& config, Split split) {
  return std::make_unique<RotatedGarments>(config, split);
}

const DatasetRegistry::Registration registered{
    "rotated_garments", "40x40 garments of Fashion-MNIST, rotated by random angles, for regression",
    make_rotated_garments, __FILE__};

}  // namespace
}  // namespace trainyard
