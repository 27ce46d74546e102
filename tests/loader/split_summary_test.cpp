#include "loader/split_summary.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace trainyard {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

SplitInfo split_of(std::vector<std::uint64_t> counts) {
  SplitInfo split{.class_names = {"cat", "dog", "eel"}, .class_counts = std::move(counts)};
  for (const std::uint64_t count : split.class_counts) split.size += count;
  return split;
}

TEST(SplitSummary, NamesTheSmallestAndTheLargestClass) {
  EXPECT_EQ(summary_of(split_of({800, 300, 100})), "1200 samples of 3 classes, from 100 (eel) to 800 (cat)");
  EXPECT_EQ(summary_of(split_of({7, 7, 7})), "21 samples of 3 classes, 7 each");
  EXPECT_EQ(summary_of(split_of({})), "0 samples of 3 classes");
}

TEST(SplitSummary, SaysWhatBalancedSamplingDraws) {
  SplitInfo split = split_of({8, 3, 1});
  EXPECT_EQ(sampling_of(split), "");
  split.by_class = {{0, 1, 2}, {0, 8, 11, 12}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}};
  EXPECT_EQ(
      sampling_of(split),
      "balanced sampling: with replacement, each of 3 classes about 4 times per epoch: a sample of eel 4.00 times, "
      "one of cat 0.50 times");
}

TEST(SplitSummary, WarnsOfWhatIsLeftOutButNotOfLitter) {
  SplitInfo split = split_of({1, 1, 1});
  split.left_out = {{"litter", 9, {"._a"}}};
  EXPECT_THAT(warnings_about("train", split), IsEmpty());
  split.left_out.push_back({"unread format WebP", 5, {"cat/a.webp", "cat/b\x1b.webp", "cat/c.webp"}});
  split.left_out.push_back({"dangling link", 1, {"dog/x.jpg"}});
  EXPECT_THAT(warnings_about("train", split),
              ElementsAre("[data] train: left out: unread format WebP: 5 (cat/a.webp, cat/b\\x1b.webp, cat/c.webp, "
                          "...); dangling link: 1 (dog/x.jpg)"));
}

TEST(SplitSummary, WarnsOfClassesWithoutSamples) {
  EXPECT_THAT(warnings_about("test", split_of({3, 0, 0})),
              ElementsAre("[data] test: 2 of 3 classes have no samples: dog, eel"));
}

TEST(SplitSummary, PassesTheWarningOfTheDatasetOn) {
  SplitInfo split = split_of({1, 1, 1});
  split.warning = "the column 'k' is odd";
  EXPECT_THAT(warnings_about("val", split), ElementsAre("[data] val: the column 'k' is odd"));
}

TEST(SplitSummary, WarnsOfTheSizeOfValIfTheDataHasIts) {
  std::vector<SplitInfo> splits(2);
  EXPECT_THAT(
      warnings_about(DataConfig{.val = 0.2}, splits),
      ElementsAre("[data] data.val = 0.2 and data.val_seed = 0 have no effect: the data has its own val split"));
  EXPECT_THAT(warnings_about(DataConfig{.val_seed = 3}, splits), testing::SizeIs(1));
  EXPECT_THAT(warnings_about(DataConfig{}, splits), IsEmpty());
  splits[1].from_train = true;
  EXPECT_THAT(warnings_about(DataConfig{.val = 0.2}, splits), IsEmpty());
}

TEST(SplitSummary, WarnsOfImagesWithTheirChannelsFirst) {
  const auto warnings = [](const Field& field) { return warnings_about(std::vector{field}); };
  EXPECT_THAT(
      warnings({.name = "image", .shape = {3, 28, 32}}),
      ElementsAre("[data] image (uint8, 3 x 28 x 32) is read as height x width x channels, i.e. as 3 x 28 pixels "
                  "of 32 channels: if 3 is the number of channels, the dataset must return 28 x 32 x 3"));
  EXPECT_THAT(warnings({.name = "image", .dtype = DType::float32, .shape = {1, 28, 28}}), testing::SizeIs(1));
  for (const std::vector<std::int64_t>& shape :
       std::vector<std::vector<std::int64_t>>{{28, 28, 3}, {28, 28, 28}, {3, 3, 3}, {1, 100, 4}, {3, 28}}) {
    EXPECT_THAT(warnings({.name = "image", .shape = shape}), IsEmpty());
  }
  EXPECT_THAT(warnings({.name = "boxes", .dtype = DType::float32, .shape = {4, 28, 28}}), IsEmpty());
}

TEST(SplitSummary, SaysThatValIsPartOfTrainAndThatTestIsMissing) {
  SplitInfo val = split_of({1, 1, 1});
  val.from_train = true;
  EXPECT_EQ(summary_of(val), "3 samples of 3 classes, 1 each, taken out of train (data.val)");
  EXPECT_THAT(note_on_test(std::vector<SplitInfo>(2)), HasSubstr("none"));
  EXPECT_THAT(note_on_test(std::vector<SplitInfo>(3)), IsEmpty());
}

TEST(SplitSummary, IsWrittenAsJson) {
  std::vector<SplitInfo> splits = {split_of({1, 2, 3}), split_of({})};
  splits[0].left_out = {{"litter", 1, {"._a"}}};
  const nlohmann::ordered_json json = to_json(splits);
  EXPECT_EQ(json["splits"][0]["name"], "train");
  EXPECT_EQ(json["splits"][0]["samples"], 6);
  EXPECT_EQ(json["splits"][0]["classes"][2]["name"], "eel");
  EXPECT_EQ(json["splits"][0]["classes"][2]["samples"], 3);
  EXPECT_EQ(json["splits"][0]["left_out"][0]["reason"], "litter");
  EXPECT_EQ(json["splits"][1]["name"], "val");
  EXPECT_TRUE(json["splits"][1]["classes"][0]["samples"].is_null());
}

}  // namespace
}  // namespace trainyard
