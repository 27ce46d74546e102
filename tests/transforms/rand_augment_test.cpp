#include <set>

#include <gmock/gmock.h>

#include "transforms/pipeline.h"

namespace trainyard {
namespace {

// Returns all results of one operation of this magnitude on one grey pixel.
std::set<int> results_of(int value, int magnitude) {
  const std::byte pixel{static_cast<unsigned char>(value)};
  const TransformPipeline pipeline({fmt::format("rand_augment(num_ops=1, magnitude={})", magnitude)},
                                   {{"image", DType::uint8, {1, 1, 1}}});
  std::set<int> results;
  for (std::uint64_t index = 0; index < 400; ++index) {
    results.insert(std::to_integer<int>(pipeline.apply(ConstImageView(&pixel, {1, 1}, 1), 0, 0, index).pixels[0]));
  }
  return results;
}

TEST(RandAugment, SolarizesFromTheThresholdOn) {
  for (const int magnitude : {8, 10, 20, 22}) {  // 255 × (1 - magnitude / 30) is slightly too large in floating point
    const int threshold = 255 - 255 * magnitude / 30;
    EXPECT_THAT(results_of(threshold, magnitude), testing::Contains(255 - threshold)) << magnitude;
  }
}

}  // namespace
}  // namespace trainyard
