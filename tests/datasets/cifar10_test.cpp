#include <filesystem>

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "datasets/dataset.h"
#include "support/counted.h"
#include "support/error_of.h"
#include "support/read_field.h"
#include "support/temp_dir.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::FloatEq;
using testing::HasSubstr;

std::string record(char label, const std::string& red, const std::string& green, const std::string& blue) {
  return label + red + green + blue;
}

std::string grey_record(char label, char value) {
  return record(label, std::string(1024, value), std::string(1024, value), std::string(1024, value));
}

class Cifar10 : public testing::Test {
 protected:
  Cifar10() {
    for (char i = 1; i <= 5; ++i) {
      dir_.write("data_batch_" + std::to_string(i) + ".bin",
                 grey_record(i, i) + grey_record(0, static_cast<char>(10 * i)));
    }
    dir_.write("test_batch.bin", grey_record('\7', 'x'));
  }

  std::unique_ptr<Dataset> make(Split split = Split::train) const {
    DataConfig config;
    config.name = "cifar10";
    config.root = dir_.path();
    return make_dataset(config, split);
  }

  TempDir dir_;
};

TEST_F(Cifar10, StringsItsFilesTogether) {
  const auto dataset = make();
  ASSERT_EQ(dataset->size(), 10u);
  EXPECT_EQ(dataset->fields()[0].shape, (Shape{32, 32, 3}));
  std::vector<std::byte> image(dataset->fields()[0].bytes());
  for (std::size_t i = 0; i < 10; ++i) {
    const std::size_t file = i / 2 + 1;
    EXPECT_EQ(read_field(*dataset, i, image), i % 2 == 0 ? static_cast<std::int64_t>(file) : 0);
    EXPECT_EQ(image, std::vector<std::byte>(3072, static_cast<std::byte>(i % 2 == 0 ? file : 10 * file)));
  }
  EXPECT_EQ(read_field(*make(Split::test), 0, image), 7);
}

TEST_F(Cifar10, TurnsPlanesIntoPixels) {
  std::string green(1024, 'g');
  green[33] = 'G';  // second row, second column
  dir_.write("test_batch.bin", record('\1', std::string(1024, 'r'), green, std::string(1024, 'b')));
  const auto dataset = make(Split::test);
  std::vector<std::byte> image(dataset->fields()[0].bytes());
  read_field(*dataset, 0, image);
  EXPECT_THAT(std::vector(image.begin(), image.begin() + 3),
              ElementsAre(std::byte{'r'}, std::byte{'g'}, std::byte{'b'}));
  EXPECT_EQ(image[(32 + 1) * 3 + 1], std::byte{'G'});
}

TEST_F(Cifar10, KnowsItsClassesAndStatistics) {
  const auto dataset = make();
  EXPECT_EQ(dataset->class_names().size(), 10u);
  EXPECT_EQ(dataset->class_names().front(), "airplane");
  EXPECT_EQ(dataset->class_names().back(), "truck");
  EXPECT_EQ(dataset->class_counts(), counted(*dataset));
  EXPECT_THAT(dataset->channel_mean(), ElementsAre(FloatEq(0.4914F), FloatEq(0.4822F), FloatEq(0.4465F)));
  EXPECT_THAT(dataset->channel_std(), ElementsAre(FloatEq(0.2470F), FloatEq(0.2435F), FloatEq(0.2616F)));
}

TEST_F(Cifar10, FindsItsFolderBelowTheRoot) {
  std::filesystem::create_directory(dir_ / "cifar-10-batches-bin");
  std::filesystem::rename(dir_ / "test_batch.bin", dir_ / "cifar-10-batches-bin/test_batch.bin");
  EXPECT_EQ(make(Split::test)->size(), 1u);
}

TEST_F(Cifar10, FingerprintFollowsContent) {
  const std::uint64_t before = make()->fingerprint();
  EXPECT_EQ(make()->fingerprint(), before);
  dir_.write("data_batch_5.bin", grey_record(5, 5) + grey_record(0, 51));
  EXPECT_NE(make()->fingerprint(), before);
}

TEST_F(Cifar10, NamesTheRecordThatIsNotWhole) {
  dir_.write("data_batch_2.bin", grey_record(1, 1) + "rest");
  EXPECT_THAT(error_of<RunError>([&] { make(); }),
              AllOf(HasSubstr(dir_ / "data_batch_2.bin"), HasSubstr("ends at byte 3077"), HasSubstr("byte 3073;"),
                    HasSubstr("expected whole records of 3073 bytes")));
  dir_.write("data_batch_2.bin", "");
  EXPECT_THAT(error_of<RunError>([&] { make(); }), HasSubstr("ends at byte 0"));
}

TEST_F(Cifar10, NamesALabelOutOfRange) {
  dir_.write("data_batch_3.bin", grey_record(1, 1) + grey_record('\12', 1));
  EXPECT_THAT(error_of<RunError>([&] { make(); }),
              AllOf(HasSubstr(dir_ / "data_batch_3.bin"), HasSubstr("label 10 at byte 3073"), HasSubstr("0 to 9")));
}

TEST_F(Cifar10, SaysWhichFileIsMissing) {
  std::filesystem::remove(dir_ / "data_batch_4.bin");
  EXPECT_THAT(error_of<UsageError>([&] { make(); }),
              AllOf(HasSubstr("(lacks data_batch_4.bin)"), HasSubstr("data/cifar10")));
}

TEST_F(Cifar10, NamesTheRecordThatIsCutOffWhileItIsRead) {
  const auto dataset = make();
  std::filesystem::resize_file(dir_ / "data_batch_2.bin", 4000);
  std::vector<std::byte> image(dataset->fields()[0].bytes());
  EXPECT_EQ(read_field(*dataset, 2, image), 2);
  EXPECT_THAT(error_of<RunError>([&] { read_field(*dataset, 3, image); }),
              AllOf(HasSubstr("data_batch_2.bin"), HasSubstr("cut off within record 1")));
}

TEST_F(Cifar10, RefusesANamedPipeWithoutWaiting) {
  std::filesystem::remove(dir_ / "test_batch.bin");
  ASSERT_EQ(mkfifo((dir_ / "test_batch.bin").c_str(), 0600), 0);
  EXPECT_THAT(error_of<RunError>([&] { make(Split::test); }), AllOf(HasSubstr("test_batch.bin"), HasSubstr("pipe")));
}

}  // namespace
}  // namespace trainyard
