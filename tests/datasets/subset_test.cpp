#include "datasets/subset.h"

#include <gmock/gmock.h>

#include "datasets/stored_images.h"
#include "support/configured.h"
#include "support/image_files.h"
#include "support/read_field.h"
#include "support/temp_dir.h"
#include "transforms/pipeline.h"

namespace trainyard {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::shared_ptr<const Dataset> synthetic() { return make_dataset(synthetic_data("4,4,1", 40, 4), Split::train); }

TEST(Subset, GivesTheSamplesOfItsIndicesInTheirOrder) {
  const auto whole = synthetic();
  const std::vector<std::uint64_t> indices = {7, 3, 39};
  const auto part = subset(whole, indices);
  ASSERT_EQ(part->size(), 3u);
  EXPECT_EQ(part->fields(), whole->fields());
  EXPECT_EQ(part->class_names(), whole->class_names());
  EXPECT_EQ(part->channel_mean(), whole->channel_mean());
  EXPECT_EQ(part->channel_std(), whole->channel_std());
  std::vector<std::byte> found(whole->fields()[0].bytes());
  std::vector<std::byte> expected(whole->fields()[0].bytes());
  for (std::size_t i = 0; i < indices.size(); ++i) {
    EXPECT_EQ(read_field(*part, i, found), read_field(*whole, indices[i], expected));
    EXPECT_EQ(found, expected);
    EXPECT_EQ(part->name(i), whole->name(indices[i]));
    EXPECT_EQ(part->stratum(i), whole->stratum(indices[i]));
  }
}

TEST(Subset, CountsItsOwnClasses) {
  EXPECT_THAT(subset(synthetic(), std::vector<std::uint64_t>{0, 4, 1})->class_counts(), ElementsAre(2, 1, 0, 0));
}

TEST(Subset, FingerprintDependsOnDataAndIndices) {
  const auto whole = synthetic();
  const auto of = [&](const std::vector<std::uint64_t>& indices) { return subset(whole, indices)->fingerprint(); };
  EXPECT_EQ(of({1, 2}), of({1, 2}));
  EXPECT_NE(of({1, 2}), of({2, 1}));
  EXPECT_NE(of({1, 2}), of({1, 3}));
  EXPECT_NE(of({1}), whole->fingerprint());
}

TEST(Subset, OfImagesIsADatasetOfImages) {
  const TempDir dir;
  const TempDir cache;
  const auto add = [&](const char* path, const Image& image) { dir.write(path, png_file(image)); };
  add("train/cat/a.png", ramp(8, 10, 3));
  add("train/cat/b.png", ramp(20, 30, 3));
  add("train/dog/c.png", ramp(31, 22, 3));
  setenv("XDG_CACHE_HOME", cache.path().c_str(), 1);
  DataConfig config;
  config.name = "image_folder";
  config.root = dir.path();
  const std::shared_ptr<const Dataset> whole = make_dataset(config, Split::train);
  unsetenv("XDG_CACHE_HOME");
  const auto part = subset(whole, std::vector<std::uint64_t>{2, 1});
  EXPECT_TRUE(part->fields()[0].is_stored_image);
  EXPECT_THAT(part->name(0), HasSubstr("train/dog/c.png"));

  const TransformPipeline pipeline({"resize(size=12)", "center_crop(size=8)"}, whole->fields());
  std::vector<std::byte> found(pipeline.fields(*part)[0].bytes());
  std::vector<std::byte> expected(found.size());
  EXPECT_EQ(read_field(pipeline, *part, 1, 0, 0, found), read_field(pipeline, *whole, 1, 0, 0, expected));
  EXPECT_EQ(found, expected);
  EXPECT_EQ(read_field(pipeline, *part, 0, 0, 0, found), 1);
}

}  // namespace
}  // namespace trainyard
