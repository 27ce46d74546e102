#include "datasets/splits.h"

#include <set>

#include <gmock/gmock.h>

#include "support/configured.h"
#include "support/error_of.h"
#include "support/image_files.h"
#include "support/temp_dir.h"

namespace trainyard {
namespace {

std::set<std::string> names_of(const Dataset& dataset) {
  std::set<std::string> names;
  for (std::size_t index = 0; index < dataset.size(); ++index) names.insert(dataset.name(index));
  return names;
}

/// Six training images.
class Splits : public testing::Test {
 protected:
  Splits() {
    config_.name = "image_folder";
    config_.root = dir_.path();
    config_.val = 2;
    for (const char* name : {"cat/a", "cat/b", "cat/c", "dog/a", "dog/b", "dog/c"}) add(std::string("train/") + name);
    setenv("XDG_CACHE_HOME", cache_.path().c_str(), 1);
  }
  ~Splits() override { unsetenv("XDG_CACHE_HOME"); }

  void add(const std::string& name) const { dir_.write(name + ".png", png_file(ramp(8, 10, 3))); }

  TempDir dir_;
  TempDir cache_;
  DataConfig config_;
};

TEST_F(Splits, ValIsTakenOutOfTrainWhereTheDataHasNone) {
  const std::vector<SplitDataset> splits = make_splits(config_);
  ASSERT_EQ(splits.size(), 2u) << "no test";
  EXPECT_FALSE(splits[0].from_train);
  EXPECT_TRUE(splits[1].from_train);
  std::set<std::string> all = names_of(*splits[0].dataset);
  const std::set<std::string> val = names_of(*splits[1].dataset);
  EXPECT_EQ(all.size(), 4u);
  EXPECT_EQ(val.size(), 2u);
  all.insert(val.begin(), val.end());
  EXPECT_EQ(all, names_of(*make_dataset(config_, Split::train)));
  EXPECT_NE(splits[0].dataset->fingerprint(), splits[1].dataset->fingerprint());
}

TEST_F(Splits, RefuseSettingsOfImageFilesForOtherData) {
  const auto refusal = [](const std::string& flags) {
    const DataConfig config = configured("--data.name synthetic --data.synthetic.shape 8,8,2 " + flags).data;
    for (const Split split : {Split::train, Split::val}) {
      EXPECT_THAT(error_of<UsageError>([&] { make_split(config, split); }), testing::HasSubstr("set it to"));
    }
    return error_of<UsageError>([&] { make_splits(config); });
  };
  EXPECT_EQ(refusal("--data.channels 1"),
            "[data.channels] is 1, but has an effect only on image files, and the samples of synthetic are image "
            "(uint8, 8 x 8 x 2), label (int64); set it to 3");
  EXPECT_THAT(refusal("--data.max_pixels 9"), testing::HasSubstr("[data.max_pixels] is 9, but"));
  EXPECT_THAT(refusal("--data.exif_orientation false"), testing::HasSubstr("[data.exif_orientation] is false, but"));
  config_.channels = 1;
  config_.max_pixels = 100;
  config_.exif_orientation = false;
  EXPECT_EQ(make_splits(config_).size(), 2u);
}

TEST_F(Splits, TheDatasOwnValLeavesTrainWhole) {
  add("val/cat/x");
  add("test/dog/y");
  const std::vector<SplitDataset> splits = make_splits(config_);
  ASSERT_EQ(splits.size(), 3u);
  EXPECT_FALSE(splits[1].from_train);
  EXPECT_EQ(splits[0].dataset->size(), 6u);
  EXPECT_EQ(splits[1].dataset->size(), 1u);
  EXPECT_EQ(splits[2].dataset->size(), 1u);
}

TEST_F(Splits, OneSplitIsTheSameAsAmongAll) {
  for (const bool own_val : {false, true}) {
    if (own_val) add("val/cat/x");
    const std::vector<SplitDataset> splits = make_splits(config_);
    for (const Split split : {Split::train, Split::val}) {
      const SplitDataset one = make_split(config_, split);
      EXPECT_EQ(one.dataset->fingerprint(), splits[static_cast<std::size_t>(split)].dataset->fingerprint());
      EXPECT_EQ(one.from_train, splits[static_cast<std::size_t>(split)].from_train);
    }
    EXPECT_EQ(make_split(config_, Split::test).dataset, nullptr);
  }
}

}  // namespace
}  // namespace trainyard
