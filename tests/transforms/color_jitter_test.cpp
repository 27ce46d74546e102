#include "transforms/color_jitter.h"

#include <map>

#include <gmock/gmock.h>

#include "support/error_of.h"
#include "support/image_files.h"
#include "transforms/pipeline.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const Image photo = ramp(20, 30, 3);
const Field sample_field{"image", DType::uint8, {20, 30, 3}};
const std::vector<Field> sample{sample_field};

TEST(ColorJitter, MakesChangesInEveryOrderAsOften) {
  const ColorJitter jitter(0.4, 0.4, 0.4, 0.1);
  std::map<std::array<ColorJitter::Kind, 4>, int> orders;
  for (std::uint64_t i = 0; i < 24'000; ++i) {
    const auto changes = jitter.draw(RandomStream(i));
    ++orders[{changes[0].kind, changes[1].kind, changes[2].kind, changes[3].kind}];
  }
  EXPECT_EQ(orders.size(), 24u);
  for (const auto& [order, count] : orders) EXPECT_NEAR(count, 1'000, 150);
}

TEST(ColorJitter, LeavesAloneWhatHasNoRange) {
  const std::string still = "color_jitter(brightness=0, contrast=0, saturation=0)";
  for (std::uint64_t index = 0; index < 50; ++index) {
    EXPECT_EQ(TransformPipeline({still}, sample).apply(photo, 0, 0, index).pixels, photo.pixels);
  }
}

TEST(ColorJitter, RefusesValuesOutOfRange) {
  for (const char* argument : {"brightness=-0.1", "contrast=11", "saturation=-1", "hue=0.6"}) {
    EXPECT_THAT(error_of<UsageError>([&] { TransformPipeline({fmt::format("color_jitter({})", argument)}, sample); }),
                AllOf(HasSubstr(argument), HasSubstr("expected a number from 0 to")));
  }
}

}  // namespace
}  // namespace trainyard
