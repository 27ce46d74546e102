#include <gmock/gmock.h>

#include "support/error_of.h"
#include "transforms/pipeline.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

std::vector<int> flipped(std::vector<std::int64_t> shape, std::vector<int> values, const std::string& spec,
                         std::uint64_t index = 0) {
  std::vector<std::byte> image;
  for (const int value : values) image.push_back(static_cast<std::byte>(value));
  const ConstImageView view(image.data(), {static_cast<std::size_t>(shape[0]), static_cast<std::size_t>(shape[1])},
                            static_cast<std::size_t>(shape[2]));
  image = TransformPipeline({spec}, {{"image", DType::uint8, std::move(shape)}}).apply(view, 0, 0, index).pixels;
  for (std::size_t i = 0; i < image.size(); ++i) values[i] = std::to_integer<int>(image[i]);
  return values;
}

TEST(RandomHorizontalFlip, MirrorsEachRowAndKeepsPixelsWhole) {
  EXPECT_THAT(flipped({2, 3, 1}, {1, 2, 3, 4, 5, 6}, "random_horizontal_flip(p=1)"), ElementsAre(3, 2, 1, 6, 5, 4));
  EXPECT_THAT(flipped({1, 2, 3}, {1, 2, 3, 4, 5, 6}, "random_horizontal_flip(p=1)"), ElementsAre(4, 5, 6, 1, 2, 3));
  EXPECT_THAT(flipped({1, 3, 2}, {1, 2, 3, 4, 5, 6}, "random_horizontal_flip(p=1)"), ElementsAre(5, 6, 3, 4, 1, 2));
  EXPECT_THAT(flipped({2, 1, 1}, {1, 2}, "random_horizontal_flip(p=1)"), ElementsAre(1, 2));
}

TEST(RandomHorizontalFlip, DoesNothingWithProbabilityZero) {
  for (std::uint64_t index = 0; index < 100; ++index) {
    EXPECT_THAT(flipped({1, 2, 1}, {1, 2}, "random_horizontal_flip(p=0)", index), ElementsAre(1, 2));
  }
}

TEST(RandomHorizontalFlip, MirrorsAsOftenAsAsked) {
  const auto count = [](const std::string& spec) {
    int mirrored = 0;
    for (std::uint64_t index = 0; index < 2'000; ++index) mirrored += flipped({1, 2, 1}, {1, 2}, spec, index)[0] == 2;
    return mirrored;
  };
  EXPECT_NEAR(count("random_horizontal_flip"), 1'000, 100);
  EXPECT_NEAR(count("random_horizontal_flip(p=0.1)"), 200, 60);
}

TEST(RandomHorizontalFlip, RefusesWhatIsNoProbability) {
  for (const char* value : {"-0.1", "1.1"}) {
    EXPECT_THAT(
        error_of<UsageError>([&] { flipped({1, 1, 1}, {1}, fmt::format("random_horizontal_flip(p={})", value)); }),
        AllOf(HasSubstr(value), HasSubstr("from 0 to 1")));
  }
}

}  // namespace
}  // namespace trainyard
