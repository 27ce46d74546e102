// The effect of transforms on a mask with its image.

#include <gmock/gmock.h>

#include "datasets/stored_images.h"
#include "support/error_of.h"
#include "support/image_files.h"
#include "transforms/pipeline.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::Each;
using testing::HasSubstr;

constexpr std::size_t height = 23;
constexpr std::size_t width = 31;

// A mask, and a grey image whose pixels are twice the mask's values.
Image mask_pixels() {
  Image mask{height, width, 1, std::vector<std::byte>(height * width)};
  for (std::size_t i = 0; i < mask.pixels.size(); ++i) mask.pixels[i] = static_cast<std::byte>(mix64(i) % 127);
  return mask;
}

Image image_pixels() {
  Image image = mask_pixels();
  for (std::byte& value : image.pixels) value = static_cast<std::byte>(2 * std::to_integer<int>(value));
  return image;
}

/// Pairs of image and mask, as elements or as PNG files.
class Pairs final : public Dataset {
 public:
  explicit Pairs(bool as_files, std::optional<std::int64_t> ignored = {}, std::size_t mask_width = width)
      : image_(png_file(image_pixels(), {.color_type = 0})),
        mask_(png_file(mask_width == width ? mask_pixels() : ramp(height, mask_width, 1, 4), {.color_type = 0})),
        fields_{
            {.name = "image", .shape = {height, width, 1}, .is_stored_image = as_files},
            {.name = "mask", .shape = {height, width}, .is_stored_image = as_files, .values = ValueRange{127, ignored}},
            label_field(10)} {}
  std::size_t size() const override { return 100; }
  const std::vector<Field>& fields() const override { return fields_; }
  std::uint64_t fingerprint() const override { return 0; }
  std::string name(std::size_t index) const override { return fmt::format("pair {}", index); }
  void read(std::size_t index, RandomStream /*random*/, Sample& sample) const override {
    if (fields_[0].is_stored_image) {
      sample.store(0, {std::as_bytes(std::span(image_))});
      sample.store(1, {std::as_bytes(std::span(mask_))});
    } else {
      std::ranges::copy(image_pixels().pixels, sample.elements(0).begin());
      std::ranges::copy(mask_pixels().pixels, sample.elements(1).begin());
    }
    sample.set(2, static_cast<std::int64_t>(index % 10));
  }

 private:
  std::string image_;
  std::string mask_;
  std::vector<Field> fields_;
};

struct Pair {
  std::vector<std::byte> image;
  std::vector<std::byte> mask;
  std::int64_t label = -1;
  bool operator==(const Pair&) const = default;
};

Pair read(const TransformPipeline& pipeline, const Dataset& dataset, std::size_t index, std::uint64_t epoch = 0) {
  const std::vector<Field>& fields = pipeline.fields(dataset);
  Pair pair{std::vector<std::byte>(fields[0].bytes()), std::vector<std::byte>(fields[1].bytes())};
  const std::array<std::span<std::byte>, 3> places{pair.image, pair.mask,
                                                   std::as_writable_bytes(std::span(&pair.label, 1))};
  pipeline.read(dataset, index, 7, epoch, places);
  return pair;
}

const std::vector<std::vector<std::string>> cropping = {
    {"random_crop(size=16, padding=0)"},
    {"random_horizontal_flip", "random_vertical_flip", "center_crop(size=20)"},
    {"center_crop(size=18)", "random_horizontal_flip", "random_crop(size=9, padding=0)", "random_vertical_flip"},
    {"random_vertical_flip"}};

TEST(Masks, AreCutAndMirroredAsTheirImage) {
  for (const bool as_files : {false, true}) {
    const Pairs dataset(as_files);
    for (const std::vector<std::string>& specs : cropping) {
      const TransformPipeline pipeline(specs, dataset.fields());
      for (std::size_t index = 0; index < 40; ++index) {
        Pair pair = read(pipeline, dataset, index);
        for (std::byte& value : pair.image) value = static_cast<std::byte>(std::to_integer<int>(value) / 2);
        ASSERT_EQ(pair.image, pair.mask) << specs.front() << ", sample " << index;
        EXPECT_EQ(pair.label, static_cast<std::int64_t>(index % 10));
      }
    }
  }
}

TEST(Masks, AreScaledByTheNearestPixel) {
  const Pairs dataset(false);
  const TransformPipeline pipeline({"resize(height=9, width=50)"}, dataset.fields());
  const Pair pair = read(pipeline, dataset, 0);
  const Image whole = mask_pixels();
  for (std::size_t y = 0; y < 9; ++y) {
    for (std::size_t x = 0; x < 50; ++x) {
      ASSERT_EQ(pair.mask[y * 50 + x], whole.pixels[y * height / 9 * width + x * width / 50]) << y << ", " << x;
    }
  }
}

TEST(Masks, OfAFileAreThoseOfTheDecodedImage) {
  const std::vector<std::vector<std::string>> scaling = {
      {"random_resized_crop(size=17)", "random_horizontal_flip"},
      {"resize(size=40)", "random_crop(size=32, padding=5)", "resize(height=11, width=13)"},
      {"center_crop(size=40)", "color_jitter", "resize(size=9)"}};
  for (const std::vector<std::string>& specs : scaling) {
    const Pairs elements(false, 200);
    const Pairs files(true, 200);
    const TransformPipeline pipeline(specs, elements.fields());
    const TransformPipeline of_files(specs, files.fields());
    for (std::size_t index = 0; index < 20; ++index) {
      ASSERT_EQ(read(pipeline, elements, index), read(of_files, files, index)) << specs.front() << ", " << index;
    }
  }
}

TEST(Masks, ArePaddedWithTheIgnoredValueOrZero) {
  for (const std::optional<std::int64_t> ignored : {std::optional<std::int64_t>(), std::optional<std::int64_t>(255)}) {
    const Pairs dataset(true, ignored);
    const TransformPipeline pipeline({"center_crop(size=60)"}, dataset.fields());
    const Pair pair = read(pipeline, dataset, 0);
    EXPECT_THAT(std::span(pair.mask).first(60), Each(std::byte(ignored.value_or(0))));
    EXPECT_THAT(std::span(pair.image).first(60), Each(std::byte{0}));
  }
}

TEST(Masks, KeepTheirNumbersWhenColoursChange) {
  const Pairs dataset(false);
  const TransformPipeline pipeline({"color_jitter(brightness=1)", "random_erasing(p=1)"}, dataset.fields());
  const Pair pair = read(pipeline, dataset, 3);
  EXPECT_EQ(pair.mask, mask_pixels().pixels);
  EXPECT_NE(pair.image, image_pixels().pixels);
}

TEST(Masks, AreRefusedByWhatCannotActOnThem) {
  EXPECT_THAT(error_of<UsageError>([] { TransformPipeline({"resize(size=9)", "rand_augment"}, Pairs(true).fields()); }),
              AllOf(HasSubstr("'rand_augment' cannot act on masks"), HasSubstr("mask (uint8, 23 x 31)")));
}

TEST(Masks, MustHaveTheSizeOfTheirImage) {
  const Pairs dataset(true, {}, width - 1);
  for (const std::vector<std::string>& specs : {std::vector<std::string>{}, {"center_crop(size=8)"}}) {
    const TransformPipeline pipeline(specs, dataset.fields());
    EXPECT_THAT(error_of<RunError>([&] { read(pipeline, dataset, 5); }),
                HasSubstr("pair 5: image has 31 x 23 pixels and mask has 30 x 23"));
  }
}

TEST(Masks, UnmirroredAreMirroredByTheSameDraws) {
  const Pairs dataset(true);
  const TransformPipeline pipeline({"random_horizontal_flip(p=0.4)"}, dataset.fields());
  const TransformPipeline never({"random_horizontal_flip(p=0)"}, dataset.fields());
  int mirrored = 0;
  for (std::size_t index = 0; index < 50; ++index) {
    Pair plain = read(never, dataset, index);
    if ((*pipeline.mirror())(7, 2, index)) {
      ++mirrored;
      for (std::vector<std::byte>* const field : {&plain.image, &plain.mask}) {
        for (std::size_t y = 0; y < height; ++y) {
          const auto row = field->begin() + static_cast<std::ptrdiff_t>(y * width);
          std::reverse(row, row + width);
        }
      }
    }
    ASSERT_EQ(read(pipeline, dataset, index, 2), plain);
  }
  EXPECT_GT(mirrored, 10);
}

}  // namespace
}  // namespace trainyard
