#include <cmath>
#include <cstring>
#include <numbers>

#include <gmock/gmock.h>

#include "datasets/splits.h"
#include "support/configured.h"
#include "support/idx_files.h"
#include "support/temp_dir.h"
#include "transforms/pipeline.h"

namespace trainyard {
namespace {

/// Replaces Fashion-MNIST: each image has a bright square above its centre; the brightness is unique to the image.
class RotatedGarments : public testing::Test {
 protected:
  RotatedGarments() {
    write("train", 20, 100);
    write("t10k", 10, 200);
  }

  void write(const std::string& stem, std::uint32_t count, std::uint32_t darkest) const {
    std::string pixels;
    for (std::uint32_t i = 0; i < count; ++i) {
      std::string image(784, '\0');
      for (std::size_t y = 2; y < 8; ++y) image.replace(y * 28 + 11, 6, std::string(6, static_cast<char>(darkest + i)));
      pixels += image;
    }
    dir_.write(stem + "-images-idx3-ubyte", idx_file({count, 28, 28}, pixels));
    dir_.write(stem + "-labels-idx1-ubyte", idx_file({count}, std::string(count, '\0')));
  }

  DataConfig config() const {
    DataConfig config = configured("--data.name rotated_garments --data.rotated_garments.samples 100").data;
    config.root = dir_.path();
    return config;
  }

  TempDir dir_;
};

TEST_F(RotatedGarments, TheTargetIsTheAngleOfTheImage) {
  const std::vector<SplitDataset> splits = make_splits(config());
  ASSERT_EQ(splits.size(), 3u);
  const std::array<std::size_t, 3> sizes{100, 20, 20};
  // Train and val use different halves of the training images, test uses the test images.
  const std::array<std::pair<int, int>, 3> brightness{std::pair{100, 109}, {110, 119}, {200, 209}};
  for (std::size_t split = 0; split < 3; ++split) {
    const Dataset& dataset = *splits[split].dataset;
    ASSERT_EQ(dataset.size(), sizes.at(split));
    float least = 90;
    float most = -90;
    for (std::size_t index = 0; index < dataset.size(); ++index) {
      const std::vector<FieldContent> sample = TransformPipeline().read_any_size(dataset, index, 0, 0);
      float angle = 0;
      std::memcpy(&angle, sample[1].bytes.data(), sizeof angle);
      double weight = 0;
      double up = 0;
      double right = 0;
      int brightest = 0;
      for (std::size_t i = 0; i < 40 * 40; ++i) {
        const int value = std::to_integer<int>(sample[0].bytes[i]);
        brightest = std::max(brightest, value);
        weight += value;
        up += value * (19.5 - static_cast<double>(i / 40));
        right += value * (static_cast<double>(i % 40) - 19.5);
      }
      // The centre of the square is 9 pixels from the centre of the image.
      const double counterclockwise = std::atan2(-right, up) * 180 / std::numbers::pi;
      EXPECT_NEAR(angle, counterclockwise, 0.5);
      EXPECT_NEAR(std::hypot(up, right) / weight, 9, 0.1);
      EXPECT_GE(brightest, brightness.at(split).first);
      EXPECT_LE(brightest, brightness.at(split).second);
      least = std::min(least, angle);
      most = std::max(most, angle);
    }
    EXPECT_GE(least, -60);
    EXPECT_LE(most, 60);
    EXPECT_GT(most - least, 90);
  }
}

TEST_F(RotatedGarments, ASampleDependsOnItsSplitAndNumberAlone) {
  const auto pixels = [](const Dataset& dataset, std::size_t index) {
    return TransformPipeline().read_any_size(dataset, index, 0, 0)[0].bytes;
  };
  const std::vector<SplitDataset> splits = make_splits(config());
  EXPECT_EQ(pixels(*splits[0].dataset, 3), pixels(*make_splits(config())[0].dataset, 3));
  EXPECT_NE(pixels(*splits[0].dataset, 3), pixels(*splits[0].dataset, 4));
  EXPECT_NE(splits[0].dataset->fingerprint(), splits[1].dataset->fingerprint());
}

}  // namespace
}  // namespace trainyard
