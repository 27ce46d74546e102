#include "transforms/transform.h"

#include <set>

#include <gmock/gmock.h>

#include "support/error_of.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const SampleSpec sample{{6, 8, 3}, DType::uint8};

std::vector<std::byte> counting_image() {
  std::vector<std::byte> image(sample.bytes());
  for (std::size_t i = 0; i < image.size(); ++i) image[i] = static_cast<std::byte>(i + 1);
  return image;
}

std::vector<std::byte> applied(const std::vector<std::string>& specs, std::uint64_t seed, std::uint64_t epoch,
                               std::uint64_t index) {
  auto image = counting_image();
  TransformPipeline(specs, sample).apply(image, seed, epoch, index);
  return image;
}

TEST(TransformPipeline, WithoutTransformsChangesNothing) {
  auto image = counting_image();
  TransformPipeline().apply(image, 1, 2, 3);
  EXPECT_EQ(image, counting_image());
  EXPECT_EQ(applied({}, 1, 2, 3), counting_image());
}

TEST(TransformPipeline, ReadsNamesWithAndWithoutArguments) {
  for (const char* spec :
       {"random_horizontal_flip(p=1)", " random_horizontal_flip ( p = 1.0 ) ", "random_horizontal_flip(p=10e-1)"}) {
    EXPECT_NE(applied({spec}, 1, 2, 3), counting_image()) << spec;
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
    // Both mirrored or neither would leave the image as it was.
    if (applied({"random_horizontal_flip", "random_horizontal_flip"}, 1, 2, index) != counting_image()) ++different;
  }
  EXPECT_GT(different, 25);
  EXPECT_LT(different, 75);
}

TEST(TransformPipeline, AppliesInOrder) {
  const auto crop_first = applied({"random_crop", "random_horizontal_flip(p=1)"}, 1, 2, 3);
  auto by_hand = applied({"random_crop"}, 1, 2, 3);
  TransformPipeline({"random_horizontal_flip(p=1)"}, sample).apply(by_hand, 9, 9, 9);
  EXPECT_EQ(crop_first, by_hand);
}

std::string error(const std::string& spec, const SampleSpec& of = sample) {
  return error_of<UsageError>([&] { TransformPipeline({spec}, of); });
}

TEST(TransformPipeline, AnUnknownNameListsTheNearestFirst) {
  EXPECT_THAT(error("random_corp(padding=4)"),
              AllOf(HasSubstr("'random_corp'"), HasSubstr("nearest first: random_crop, ")));
}

TEST(TransformPipeline, AnUnknownArgumentListsTheKnownOnes) {
  EXPECT_THAT(error("random_crop(pading=2)"),
              AllOf(HasSubstr("random_crop has no argument 'pading'"), HasSubstr("it has: padding=4")));
}

TEST(TransformPipeline, ShowsWhatItCannotRead) {
  for (const char* spec :
       {"", "(padding=4)", "random_crop(", "random_crop(padding", "random_crop(padding=", "random_crop(padding=4",
        "random_crop(padding=four)", "random_crop(padding=nan)", "random_crop(padding=inf)",
        "random_crop(padding=1e999)", "random_crop(padding=4,)", "random_crop(padding=4)x", "random_crop)",
        "Random_crop", "random_crop(4)", "random_crop(padding=4 padding=5)"}) {
    EXPECT_THAT(error(spec), AllOf(HasSubstr(fmt::format("cannot read '{}'", spec)),
                                   HasSubstr("expected name or name(key=number, key=number)")));
  }
  EXPECT_THAT(error("random_crop(padding=4, padding=5)"), HasSubstr("'padding' is given twice"));
}

TEST(TransformPipeline, RefusesSamplesThatAreNoImages) {
  EXPECT_THAT(error("random_crop", {{6, 8, 3}, DType::float32}), HasSubstr("float32 of 6 x 8 x 3"));
  EXPECT_THAT(error("random_crop", {{48}, DType::uint8}), HasSubstr("uint8 of 48"));
  EXPECT_NO_THROW(TransformPipeline({}, {{48}, DType::float32}));
}

}  // namespace
}  // namespace trainyard
