#include "transforms/pipeline.h"

#include <set>

#include <gmock/gmock.h>

#include "support/error_of.h"
#include "support/read_field.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const Field sample_field{"image", DType::uint8, {6, 8, 3}};
const std::vector<Field> sample{sample_field};

Image counting_image() {
  Image counting{6, 8, 3, std::vector<std::byte>(sample_field.bytes())};
  for (std::size_t i = 0; i < counting.pixels.size(); ++i) counting.pixels[i] = static_cast<std::byte>(i + 1);
  return counting;
}

const std::vector<std::byte> unchanged = counting_image().pixels;

std::vector<std::byte> applied(const std::vector<std::string>& specs, std::uint64_t seed, std::uint64_t epoch,
                               std::uint64_t index) {
  return TransformPipeline(specs, sample).apply(counting_image(), seed, epoch, index).pixels;
}

TEST(TransformPipeline, WithoutTransformsChangesNothing) {
  EXPECT_EQ(TransformPipeline().apply(counting_image(), 1, 2, 3).pixels, unchanged);
  EXPECT_EQ(applied({}, 1, 2, 3), unchanged);
}

TEST(TransformPipeline, ReadsNamesWithAndWithoutArguments) {
  for (const char* spec :
       {"random_horizontal_flip(p=1)", " random_horizontal_flip ( p = 1.0 ) ", "random_horizontal_flip(p=10e-1)"}) {
    EXPECT_NE(applied({spec}, 1, 2, 3), unchanged) << spec;
  }
  EXPECT_EQ(applied({"random_crop"}, 1, 2, 3), applied({"random_crop(padding=4)"}, 1, 2, 3));
  EXPECT_EQ(applied({"random_crop()"}, 1, 2, 3), applied({"random_crop(padding=4)"}, 1, 2, 3));
}

TEST(TransformPipeline, IsAFunctionOfSeedEpochAndIndex) {
  const std::vector<std::string> specs{"random_crop(padding=4)", "random_horizontal_flip"};
  EXPECT_EQ(applied(specs, 1, 2, 3), applied(specs, 1, 2, 3));
  for (std::size_t part = 0; part < 3; ++part) {
    std::set<std::vector<std::byte>> seen;
    for (std::uint64_t value = 0; value < 50; ++value) {
      seen.insert(applied(specs, part == 0 ? value : 1, part == 1 ? value : 2, part == 2 ? value : 3));
    }
    EXPECT_GT(seen.size(), 25u) << "part " << part;
  }
}

TEST(TransformPipeline, TheSameTransformInAnotherPlaceDrawsOtherNumbers) {
  int different = 0;
  for (std::uint64_t index = 0; index < 100; ++index) {
    // Two flips or none leave the image unchanged.
    if (applied({"random_horizontal_flip", "random_horizontal_flip"}, 1, 2, index) != unchanged) ++different;
  }
  EXPECT_GT(different, 25);
  EXPECT_LT(different, 75);
}

TEST(TransformPipeline, AppliesInOrder) {
  const auto crop_first = applied({"random_crop", "random_horizontal_flip(p=1)"}, 1, 2, 3);
  const Image cropped{6, 8, 3, applied({"random_crop"}, 1, 2, 3)};
  EXPECT_EQ(crop_first, TransformPipeline({"random_horizontal_flip(p=1)"}, sample).apply(cropped, 9, 9, 9).pixels);
}

std::string error(const std::string& spec, const Field& of = sample_field) {
  return error_of<UsageError>([&] { TransformPipeline({spec}, {of}); });
}

TEST(TransformPipeline, AnUnknownNameListsTheNearestFirst) {
  EXPECT_THAT(error("random_corp(padding=4)"),
              AllOf(HasSubstr("'random_corp'"), HasSubstr("nearest first: random_crop, ")));
  EXPECT_THAT(error("RandomHorizontalFlip(p=0.5)"),
              AllOf(HasSubstr("'RandomHorizontalFlip'"), HasSubstr("nearest first: random_horizontal_flip, ")));
}

TEST(TransformPipeline, AnUnknownArgumentListsTheKnownOnes) {
  EXPECT_THAT(error("random_crop(pading=2)"),
              AllOf(HasSubstr("random_crop has no argument 'pading'"), HasSubstr("it has: size=0, padding=4")));
}

TEST(TransformPipeline, ShowsWhatItCannotRead) {
  for (const char* spec : {"", "(padding=4)", "random_crop(", "random_crop(padding", "random_crop(padding=",
                           "random_crop(padding=4", "random_crop(padding=4,)", "random_crop(padding=4)x",
                           "random_crop)", "random-crop", "random_crop(4)", "random_crop(padding=4 padding=5)"}) {
    EXPECT_THAT(error(spec), AllOf(HasSubstr(fmt::format("cannot read '{}'", spec)),
                                   HasSubstr("expected name or name(key=value, key=value)")));
  }
  EXPECT_THAT(error("random_crop(padding=4, padding=5)"), HasSubstr("'padding' is given twice"));
}

TEST(TransformPipeline, RefusesValuesThatAreNoNumbers) {
  for (const char* value : {"four", "nan", "inf", "1e999", "4x", "-"}) {
    EXPECT_THAT(error(fmt::format("random_crop(padding={})", value)), HasSubstr("expected a whole number from 0"));
    EXPECT_THAT(error(fmt::format("random_horizontal_flip(p={})", value)), HasSubstr("expected a number from 0 to 1"));
  }
  EXPECT_THAT(error("resize(interpolation=cubic)"), HasSubstr("nearest first: bicubic, bilinear"));
}

TEST(TransformPipeline, RefusesSamplesThatAreNoImages) {
  EXPECT_THAT(error("random_crop", {"image", DType::float32, {6, 8, 3}}), HasSubstr("image (float32, 6 x 8 x 3)"));
  EXPECT_THAT(error("random_crop", {"image", DType::uint8, {48}}), HasSubstr("image (uint8, 48)"));
  EXPECT_NO_THROW(TransformPipeline({}, {{"image", DType::float32, {48}}}));
}

// One image under many indices.
class OneImage final : public Dataset {
 public:
  std::size_t size() const override { return 1'000; }
  const std::vector<Field>& fields() const override { return trainyard::sample; }
  void read(std::size_t, RandomStream, Sample& to) const override {
    std::copy(unchanged.begin(), unchanged.end(), to.elements(0).begin());
  }
  std::uint64_t fingerprint() const override { return 0; }
};

TEST(TransformPipeline, WhatItLeavesUnmirroredIsMirroredByTheSameDraws) {
  const OneImage dataset;
  for (const std::vector<std::string>& first : {std::vector<std::string>{}, {"resize(height=5, width=7)"}}) {
    std::vector<std::string> specs = first;
    specs.emplace_back("random_horizontal_flip(p=0.3)");
    const TransformPipeline pipeline(specs, sample);
    ASSERT_TRUE(pipeline.mirror());
    const TransformPipeline always(
        [&] {
          std::vector<std::string> mirrored = first;
          mirrored.emplace_back("random_horizontal_flip(p=1)");
          return mirrored;
        }(),
        sample);
    const std::size_t bytes = pipeline.fields(dataset)[0].bytes();
    std::vector<std::byte> plain(bytes), mirrored(bytes), read(bytes);
    read_field(always, dataset, 0, 0, 0, mirrored);
    int count = 0;
    for (std::size_t index = 0; index < 1'000; ++index) {
      const bool mirror = (*pipeline.mirror())(/*seed=*/7, /*epoch=*/3, index);
      read_field(pipeline, dataset, index, 7, 3, plain, /*unmirrored=*/true);
      read_field(pipeline, dataset, index, 7, 3, read);
      ASSERT_EQ(read, mirror ? mirrored : plain) << index;
      count += mirror ? 1 : 0;
    }
    EXPECT_NEAR(count, 300, 60);
  }
}

TEST(TransformPipeline, OnlyAMirrorThatComesLastIsLeftOut) {
  EXPECT_FALSE(TransformPipeline().mirror());
  EXPECT_FALSE(TransformPipeline({"random_horizontal_flip", "resize(height=5, width=7)"}, sample).mirror());
  EXPECT_FALSE(TransformPipeline({"random_vertical_flip"}, sample).mirror());
}

TEST(TransformPipeline, NamesTheFirstTransformThatIsDrawnAnewInEachEpoch) {
  const auto first = [](const std::vector<std::string>& specs) {
    return TransformPipeline(specs, sample).first_random_transform();
  };
  EXPECT_EQ(TransformPipeline().first_random_transform(), "");
  EXPECT_EQ(first({"resize(size=9)", "center_crop(size=4)", "random_horizontal_flip"}), "");
  EXPECT_EQ(first({"resize(size=9)", "random_crop", "random_vertical_flip"}), "random_crop");
  EXPECT_EQ(first({"random_horizontal_flip", "center_crop(size=4)"}), "random_horizontal_flip");
}

}  // namespace
}  // namespace trainyard
