// Transforms of samples with several images.

#include <gmock/gmock.h>

#include "datasets/stored_images.h"
#include "support/error_of.h"
#include "support/image_files.h"
#include "transforms/pipeline.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::HasSubstr;

/// One sample with two images, 8 × 6 and 20 × 10 pixels, as files or as elements.
class TwoImages final : public Dataset {
 public:
  explicit TwoImages(bool as_files)
      : fields_{{.name = "left", .shape = {6, 8, 3}, .is_stored_image = as_files},
                {.name = "right", .shape = {10, 20, 3}, .is_stored_image = as_files}} {}
  std::size_t size() const override { return 1; }
  const std::vector<Field>& fields() const override { return fields_; }
  std::uint64_t fingerprint() const override { return 0; }
  std::string name(std::size_t /*index*/) const override { return "pair"; }
  std::string image_name(std::size_t field, std::size_t /*index*/) const override { return fields_[field].name; }
  void read(std::size_t /*index*/, RandomStream /*random*/, Sample& sample) const override {
    for (std::size_t i = 0; i < 2; ++i) {
      if (fields_[i].is_stored_image) {
        sample.store(i, {std::as_bytes(std::span(files_[i]))});
      } else {
        std::ranges::copy(images_[i].pixels, sample.elements(i).begin());
      }
    }
  }
  const Image& image(std::size_t i) const { return images_[i]; }

 private:
  std::array<Image, 2> images_{ramp(6, 8, 3), ramp(10, 20, 3)};
  std::array<std::string, 2> files_{png_file(images_[0]), png_file(images_[1])};
  std::vector<Field> fields_;
};

std::vector<std::vector<std::byte>> read_both(const TransformPipeline& pipeline, const TwoImages& dataset) {
  std::vector<std::vector<std::byte>> read;
  std::vector<std::span<std::byte>> places;
  for (const Field& field : pipeline.fields(dataset)) read.emplace_back(field.bytes());
  for (std::vector<std::byte>& bytes : read) places.emplace_back(bytes);
  pipeline.read(dataset, 0, 1, 2, places);
  return read;
}

TEST(SeveralImages, MayDifferInSize) {
  for (const bool as_files : {false, true}) {
    const TwoImages dataset(as_files);
    for (const char* const spec : {"resize(height=5, width=5)", "random_crop", "random_horizontal_flip(p=1)"}) {
      const TransformPipeline pipeline({spec}, dataset.fields());
      const std::vector<std::vector<std::byte>> read = read_both(pipeline, dataset);
      for (std::size_t i = 0; i < 2; ++i) {
        const TransformPipeline alone({spec}, {dataset.fields()[i]});
        EXPECT_EQ(read[i], alone.apply(dataset.image(i), 1, 2, 0).pixels) << spec << ", image " << i;
      }
    }
  }
}

TEST(SeveralImages, TheOneOfAnotherSizeIsNamed) {
  const TwoImages dataset(/*as_files=*/true);
  std::vector<Field> fields = dataset.fields();
  fields[1].shape = fields[0].shape;  // as that of the first image
  const TransformPipeline pipeline({"resize(size=6)"}, fields);
  EXPECT_THAT(error_of<RunError>([&] { read_both(pipeline, dataset); }),
              HasSubstr("right comes out at 12 x 6 pixels, the first image of the set at 8 x 6"));
}

}  // namespace
}  // namespace trainyard
