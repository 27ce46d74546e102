#include <algorithm>

#include <gmock/gmock.h>

#include "support/error_of.h"
#include "transforms/pipeline.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const Image white{60, 45, 3, std::vector<std::byte>(std::size_t{60} * 45 * 3, std::byte{255})};
const Field sample_field{"image", DType::uint8, {60, 45, 3}};
const std::vector<Field> sample{sample_field};

// Returns how many of 2,000 images are changed. Expects that changed pixels have the value `value`.
int changed_by(const std::string& spec, int value) {
  const TransformPipeline pipeline({spec}, sample);
  int changed = 0;
  for (std::uint64_t index = 0; index < 2'000; ++index) {
    const std::vector<std::byte> pixels = pipeline.apply(white, 0, 0, index).pixels;
    const auto painted = std::count(pixels.begin(), pixels.end(), std::byte{static_cast<unsigned char>(value)});
    EXPECT_EQ(painted + std::count(pixels.begin(), pixels.end(), std::byte{255}), std::ssize(pixels));
    changed += painted > 0;
  }
  return changed;
}

TEST(RandomErasing, PaintsAsOftenAsAsked) {
  EXPECT_EQ(changed_by("random_erasing(p=0)", 0), 0);
  EXPECT_NEAR(changed_by("random_erasing(p=0.1)", 0), 200, 60);
  EXPECT_NEAR(changed_by("random_erasing", 0), 1'000, 100);
  EXPECT_EQ(changed_by("random_erasing(p=1, value=117)", 117), 2'000);
}

TEST(RandomErasing, LeavesAnImageInWhichNoRectangleFits) {
  EXPECT_EQ(changed_by("random_erasing(p=1, scale_min=1, scale_max=1)", 0), 0);
  const char* const as_high_as_it =
      "random_erasing(p=1, scale_min=0.5, scale_max=0.5, ratio_min=2.6667, ratio_max=2.6667)";
  EXPECT_EQ(changed_by(as_high_as_it, 0), 0) << "as torchvision does";
}

TEST(RandomErasing, RefusesArgumentsOutOfRange) {
  const auto error = [](const char* arguments) {
    return error_of<UsageError>([&] { TransformPipeline({fmt::format("random_erasing({})", arguments)}, sample); });
  };
  EXPECT_THAT(error("p=2"), HasSubstr("expected a number from 0 to 1"));
  EXPECT_THAT(error("value=256"), HasSubstr("expected a whole number from 0 to 255"));
  EXPECT_THAT(error("ratio_min=0"), HasSubstr("from 0.001 to 1000"));
  EXPECT_THAT(error("scale_min=0.5, scale_max=0.4"), AllOf(HasSubstr("scale_min=0.5"), HasSubstr("scale_max=0.4")));
}

}  // namespace
}  // namespace trainyard
