#include "datasets/idx_images.h"

#include <cmath>
#include <filesystem>

#include <gmock/gmock.h>

#include "support/counted.h"
#include "support/error_of.h"
#include "support/idx_files.h"
#include "support/read_field.h"
#include "support/temp_dir.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::FloatEq;
using testing::HasSubstr;

/// A folder with a dataset of two training images and one test image.
class IdxImagesTest : public testing::Test {
 protected:
  IdxImagesTest() {
    dir_.write("train-images-idx3-ubyte", idx_file({2, 28, 28}, std::string(784, 'a') + std::string(784, 'b')));
    dir_.write("train-labels-idx1-ubyte", idx_file({2}, {'\3', '\7'}));
    dir_.write("t10k-images-idx3-ubyte.gz", gzip(idx_file({1, 28, 28}, std::string(784, 'c'))));
    dir_.write("t10k-labels-idx1-ubyte.gz", gzip(idx_file({1}, {'\1'})));
  }

  std::unique_ptr<Dataset> make(Split split = Split::train, const std::string& name = "fashion_mnist") const {
    DataConfig config;
    config.name = name;
    config.root = dir_.path();
    return make_dataset(config, split);
  }

  TempDir dir_;
};

TEST_F(IdxImagesTest, GivesImagesAndLabelsInTheOrderOfTheFiles) {
  const auto dataset = make();
  ASSERT_EQ(dataset->size(), 2u);
  EXPECT_EQ(dataset->fields()[0].shape, (Shape{28, 28, 1}));
  std::vector<std::byte> image(dataset->fields()[0].bytes());
  EXPECT_EQ(read_field(*dataset, 1, image), 7);
  EXPECT_EQ(image, std::vector<std::byte>(784, std::byte{'b'}));
  EXPECT_EQ(read_field(*dataset, 0, image), 3);
  EXPECT_EQ(image, std::vector<std::byte>(784, std::byte{'a'}));
}

TEST_F(IdxImagesTest, ReadsTheTestSplitFromItsOwnFiles) {
  const auto dataset = make(Split::test);
  ASSERT_EQ(dataset->size(), 1u);
  std::vector<std::byte> image(dataset->fields()[0].bytes());
  EXPECT_EQ(read_field(*dataset, 0, image), 1);
  EXPECT_EQ(image.front(), std::byte{'c'});
}

TEST_F(IdxImagesTest, KnowsEachDatasetsClassesAndStatistics) {
  const auto fashion = make();
  EXPECT_EQ(fashion->class_names().size(), 10u);
  EXPECT_EQ(fashion->class_names().front(), "T-shirt/top");
  EXPECT_EQ(fashion->class_names().back(), "Ankle boot");
  EXPECT_EQ(fashion->class_counts(), counted(*fashion));
  EXPECT_THAT(fashion->channel_mean(), ElementsAre(FloatEq(0.2860F)));
  EXPECT_THAT(fashion->channel_std(), ElementsAre(FloatEq(0.3530F)));
  const auto digits = make(Split::train, "mnist");
  EXPECT_THAT(digits->class_names(), ElementsAre("0", "1", "2", "3", "4", "5", "6", "7", "8", "9"));
  EXPECT_THAT(digits->channel_mean(), ElementsAre(FloatEq(0.1307F)));
  EXPECT_THAT(digits->channel_std(), ElementsAre(FloatEq(0.3081F)));
}

TEST_F(IdxImagesTest, FindsNamesWithADot) {
  std::filesystem::rename(dir_ / "train-images-idx3-ubyte", dir_ / "train-images.idx3-ubyte");
  EXPECT_EQ(make()->size(), 2u);
}

TEST_F(IdxImagesTest, FindsItsOwnFolderBelowTheRoot) {
  std::filesystem::create_directory(dir_ / "fashion-mnist");
  for (const char* name : {"train-images-idx3-ubyte", "train-labels-idx1-ubyte"}) {
    std::filesystem::rename(dir_ / name, std::filesystem::path(dir_ / "fashion-mnist") / name);
  }
  EXPECT_EQ(make()->size(), 2u);
}

TEST_F(IdxImagesTest, FingerprintFollowsContentNameAndSplit) {
  const std::uint64_t before = make()->fingerprint();
  EXPECT_EQ(make()->fingerprint(), before);
  EXPECT_NE(make(Split::train, "mnist")->fingerprint(), before);
  EXPECT_NE(make(Split::test)->fingerprint(), before);
  dir_.write("train-labels-idx1-ubyte", idx_file({2}, {'\7', '\3'}));
  EXPECT_NE(make()->fingerprint(), before);
}

TEST_F(IdxImagesTest, NamesUnequalCounts) {
  dir_.write("train-labels-idx1-ubyte", idx_file({3}, {'\3', '\7', '\1'}));
  EXPECT_THAT(error_of<RunError>([&] { make(); }), AllOf(HasSubstr("train-images-idx3-ubyte has 2 images"),
                                                         HasSubstr("train-labels-idx1-ubyte has 3 labels")));
}

TEST_F(IdxImagesTest, NamesALabelOutOfRange) {
  dir_.write("train-labels-idx1-ubyte", idx_file({2}, {'\3', '\12'}));
  EXPECT_THAT(error_of<RunError>([&] { make(); }),
              AllOf(HasSubstr(dir_ / "train-labels-idx1-ubyte"), HasSubstr("label 10 at byte 9"), HasSubstr("0 to 9")));
}

TEST_F(IdxImagesTest, NoticesExchangedFiles) {
  std::filesystem::copy_file(dir_ / "train-images-idx3-ubyte", dir_ / "train-labels-idx1-ubyte",
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_THAT(error_of<RunError>([&] { make(); }), HasSubstr("exchanged"));
}

TEST_F(IdxImagesTest, SaysWhichFileTheRootLacks) {
  std::filesystem::remove(dir_ / "train-labels-idx1-ubyte");
  EXPECT_THAT(error_of<UsageError>([&] { make(); }),
              AllOf(HasSubstr("[data.root]"), HasSubstr(dir_.path() + " (lacks train-labels-idx1-ubyte)"),
                    HasSubstr(dir_ / "fashion-mnist (no such folder)"), HasSubstr("dataset-fashion-mnist")));
}

TEST_F(IdxImagesTest, NamesARootThatDoesNotExist) {
  DataConfig config;
  config.root = dir_ / "nowhere";
  EXPECT_THAT(error_of<UsageError>([&] { make_dataset(config, Split::train); }),
              AllOf(HasSubstr("[data.root]"), HasSubstr("there is no folder " + config.root)));
}

TEST_F(IdxImagesTest, AnUnknownDatasetNamesTheNearestFirst) {
  EXPECT_THAT(error_of<UsageError>([&] { make(Split::train, "fashion_minst"); }),
              AllOf(HasSubstr("'fashion_minst'"), HasSubstr("nearest first: fashion_mnist, ")));
}

/// The real files, if the distribution's package is installed.
class FashionMnist : public testing::Test {
 protected:
  void SetUp() override {
    config_.root = "/usr/share/datasets/fashion-mnist";
    if (!std::filesystem::exists(config_.root)) GTEST_SKIP() << "the package dataset-fashion-mnist is not installed";
  }

  std::vector<int> label_counts(Split split) const {
    const auto dataset = make_dataset(config_, split);
    std::vector<std::byte> image(dataset->fields()[0].bytes());
    std::vector<int> count(10);
    for (std::size_t i = 0; i < dataset->size(); ++i) ++count[static_cast<std::size_t>(read_field(*dataset, i, image))];
    return count;
  }

  DataConfig config_;
};

TEST_F(FashionMnist, IsBalanced) {
  EXPECT_EQ(label_counts(Split::train), std::vector<int>(10, 6000));
  EXPECT_EQ(label_counts(Split::test), std::vector<int>(10, 1000));
}

TEST_F(FashionMnist, IsFoundWithoutARootAndBeginsWithAnAnkleBoot) {
  config_.root.clear();
  const auto dataset = make_dataset(config_, Split::train);
  std::vector<std::byte> image(dataset->fields()[0].bytes());
  EXPECT_EQ(read_field(*dataset, 0, image), 9);
}

TEST_F(FashionMnist, HasTheStatisticsItClaims) {
  const auto dataset = make_dataset(config_, Split::train);
  std::vector<std::byte> image(dataset->fields()[0].bytes());
  double sum = 0;
  double squares = 0;
  for (std::size_t i = 0; i < dataset->size(); ++i) {
    read_field(*dataset, i, image);
    for (const std::byte pixel : image) {
      const double value = std::to_integer<int>(pixel) / 255.0;
      sum += value;
      squares += value * value;
    }
  }
  const double count = static_cast<double>(dataset->size() * image.size());
  EXPECT_NEAR(sum / count, dataset->channel_mean()[0], 1e-4);
  EXPECT_NEAR(std::sqrt(squares / count - sum / count * sum / count), dataset->channel_std()[0], 1e-4);
}

}  // namespace
}  // namespace trainyard
