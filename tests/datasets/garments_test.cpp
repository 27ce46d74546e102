#include <set>

#include <gmock/gmock.h>

#include "datasets/splits.h"
#include "support/configured.h"
#include "support/error_of.h"
#include "support/idx_files.h"
#include "support/temp_dir.h"
#include "transforms/pipeline.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::HasSubstr;

/// Replaces Fashion-MNIST: garment i has class i modulo 10 and the uniform brightness 180 + i, brighter than any
/// ground.
class Garments : public testing::Test {
 protected:
  Garments() {
    write("train", 40, 180);
    write("t10k", 30, 220);
  }

  void write(const std::string& stem, std::uint32_t count, std::uint32_t darkest) const {
    std::string pixels;
    std::string labels;
    for (std::uint32_t i = 0; i < count; ++i) {
      pixels += std::string(784, static_cast<char>(darkest + i));
      labels += static_cast<char>(i % 10);
    }
    dir_.write(stem + "-images-idx3-ubyte", idx_file({count, 28, 28}, pixels));
    dir_.write(stem + "-labels-idx1-ubyte", idx_file({count}, labels));
  }

  DataConfig config() const {
    DataConfig config = configured("--data.name garments --data.garments.samples 200").data;
    config.root = dir_.path();
    return config;
  }

  TempDir dir_;
};

TEST_F(Garments, EachPixelHasTheClassOfTheGarmentOnTop) {
  const std::vector<SplitDataset> splits = make_splits(config());
  ASSERT_EQ(splits.size(), 3u);
  EXPECT_FALSE(splits[1].from_train);
  const std::array<std::size_t, 3> sizes{200, 40, 40};
  // Train and val use different halves of the training images, test uses the test images.
  const std::array<std::pair<int, int>, 3> brightness{std::pair{180, 200}, {200, 220}, {220, 250}};
  for (std::size_t split = 0; split < 3; ++split) {
    const Dataset& dataset = *splits[split].dataset;
    ASSERT_EQ(dataset.size(), sizes.at(split));
    EXPECT_EQ(dataset.class_names().size(), 11u);
    EXPECT_EQ(dataset.class_names()[0], "ground");
    std::set<int> garments;
    std::size_t ground = 0;
    for (std::size_t index = 0; index < dataset.size(); ++index) {
      const std::vector<FieldContent> sample = TransformPipeline().read_any_size(dataset, index, 0, 0);
      std::set<int> here;
      for (std::size_t i = 0; i < 96 * 96; ++i) {
        const int pixel = std::to_integer<int>(sample[0].bytes[i]);
        const int label = std::to_integer<int>(sample[1].bytes[i]);
        if (label == 0) {
          ++ground;
          ASSERT_LT(pixel, 180);
        } else {
          ASSERT_EQ(label, 1 + (pixel - (split == 2 ? 220 : 180)) % 10);
          here.insert(pixel);
        }
      }
      EXPECT_LE(here.size(), 5u) << "what is hidden altogether does not count";
      EXPECT_GE(here.size(), 1u);
      garments.insert(here.begin(), here.end());
    }
    EXPECT_GE(*garments.begin(), brightness.at(split).first);
    EXPECT_LT(*garments.rbegin(), brightness.at(split).second);
    EXPECT_GT(garments.size(), 15u);
    EXPECT_GT(ground, dataset.size() * 96 * 96 / 8) << "although these garments are squares";
  }
}

TEST_F(Garments, LabelsAreTheGarmentsOfWhichEnoughIsVisible) {
  const DataConfig labelled = configured("--data.garments.target labels", Config{.data = config()}).data;
  const auto masks = make_dataset(config(), Split::train);
  const auto labels = make_dataset(labelled, Split::train);
  EXPECT_EQ(labels->class_names(), std::vector(masks->class_names().begin() + 1, masks->class_names().end()));
  EXPECT_EQ(labels->fields()[1], (Field{.name = "labels", .shape = {10}, .values = ValueRange{2}}));
  EXPECT_NE(labels->fingerprint(), masks->fingerprint());
  std::size_t hidden = 0;  // visible, but below the threshold
  for (std::size_t index = 0; index < labels->size(); ++index) {
    const std::vector<FieldContent> scene = TransformPipeline().read_any_size(*masks, index, 0, 0);
    const std::vector<FieldContent> sample = TransformPipeline().read_any_size(*labels, index, 0, 0);
    ASSERT_EQ(sample[0].bytes, scene[0].bytes);
    for (std::size_t label = 0; label < 10; ++label) {
      const auto pixels = std::ranges::count(scene[1].bytes, static_cast<std::byte>(label + 1));
      ASSERT_EQ(std::to_integer<int>(sample[1].bytes[label]), pixels >= 64 ? 1 : 0);
      if (pixels > 0 && pixels < 64) ++hidden;
    }
  }
  EXPECT_GT(hidden, 0u);
}

TEST_F(Garments, AreAFunctionOfSplitAndIndex) {
  const auto bytes = [&](Split split, std::size_t index) {
    return TransformPipeline().read_any_size(*make_dataset(config(), split), index, 0, 0)[0].bytes;
  };
  EXPECT_EQ(bytes(Split::train, 5), bytes(Split::train, 5));
  EXPECT_NE(bytes(Split::train, 5), bytes(Split::train, 6));
  const std::uint64_t fingerprint = make_dataset(config(), Split::train)->fingerprint();
  EXPECT_EQ(make_dataset(config(), Split::train)->fingerprint(), fingerprint);
  EXPECT_NE(make_dataset(config(), Split::val)->fingerprint(), fingerprint);
  write("train", 41, 180);
  EXPECT_NE(make_dataset(config(), Split::train)->fingerprint(), fingerprint);
}

TEST_F(Garments, SayWhatTheyAreMadeOf) {
  DataConfig without = config();
  std::filesystem::remove(dir_ / "train-labels-idx1-ubyte");
  EXPECT_THAT(error_of<UsageError>([&] { make_dataset(without, Split::train); }), HasSubstr("train-labels"));
}

}  // namespace
}  // namespace trainyard
