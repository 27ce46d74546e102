#include <gmock/gmock.h>

#include "datasets/splits.h"
#include "support/configured.h"
#include "support/error_of.h"
#include "support/image_files.h"
#include "support/temp_dir.h"
#include "transforms/pack_dataset.h"
#include "transforms/pipeline.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class ImageLabels : public testing::Test {
 protected:
  ImageLabels() {
    dir_.write("train/a.jpg", jpeg_file(ramp(6, 8, 3)));
    dir_.write("train/town/b, c.png", png_file(ramp(5, 9, 3)));
    dir_.write("train/labels.csv", "cat,file,dog\n1,a.jpg,0\n1,\"town/b, c.png\",1\n");
  }

  DataConfig config() const {
    DataConfig config = configured("--data.name image_labels").data;
    config.root = dir_.path();
    return config;
  }
  std::unique_ptr<Dataset> make(Split split = Split::train) const { return make_dataset(config(), split); }

  // Returns the error for another content of train/labels.csv.
  std::string refusal(const std::string& csv) const {
    dir_.write("train/labels.csv", csv);
    return error_of<RunError>([&] { make(); });
  }

  TempDir dir_;
};

std::vector<FieldContent> read(const Dataset& dataset, std::size_t index) {
  return TransformPipeline().read_any_size(dataset, index, 0, 0);
}

std::vector<std::byte> bytes(std::initializer_list<int> values) {
  std::vector<std::byte> result;
  for (const int value : values) result.push_back(static_cast<std::byte>(value));
  return result;
}

TEST_F(ImageLabels, HasTheImagesAndLabelsOfTheRows) {
  const auto dataset = make();
  ASSERT_EQ(dataset->size(), 2u);
  EXPECT_THAT(dataset->class_names(), ElementsAre("cat", "dog"));
  const std::vector<Field>& fields = dataset->fields();
  ASSERT_EQ(fields.size(), 2u);
  EXPECT_TRUE(fields[0].is_image());
  EXPECT_EQ(fields[1], (Field{.name = "labels", .shape = {2}, .values = ValueRange{2}}));
  EXPECT_EQ(read(*dataset, 0)[1].bytes, bytes({1, 0}));
  EXPECT_EQ(read(*dataset, 1)[1].bytes, bytes({1, 1}));
  EXPECT_EQ(read(*dataset, 1)[0].bytes, ramp(5, 9, 3).pixels);
  EXPECT_THAT(dataset->name(1), HasSubstr("train/town/b, c.png"));
  EXPECT_THAT(dataset->class_counts(), ElementsAre(2, 1));
}

TEST_F(ImageLabels, FingerprintFollowsRowsLabelsAndFiles) {
  const std::uint64_t fingerprint = make()->fingerprint();
  EXPECT_EQ(make()->fingerprint(), fingerprint);
  dir_.write("train/labels.csv", "cat,file,dog\n1,a.jpg,1\n1,\"town/b, c.png\",1\n");
  const std::uint64_t other_label = make()->fingerprint();
  EXPECT_NE(other_label, fingerprint);
  dir_.write("train/a.jpg", jpeg_file(ramp(8, 8, 3)));
  EXPECT_NE(make()->fingerprint(), other_label);
}

TEST_F(ImageLabels, SplitsHaveTheLabelsOfTrain) {
  EXPECT_EQ(make(Split::val), nullptr);
  dir_.write("val/x.png", png_file(ramp(4, 4, 3)));
  dir_.write("val/labels.csv", "file,dog,cat\nx.png,0,1\n");
  const auto val = make(Split::val);
  EXPECT_THAT(val->class_names(), ElementsAre("cat", "dog"));
  EXPECT_EQ(read(*val, 0)[1].bytes, bytes({1, 0})) << "in the order of train's columns";
  const auto error = [&] { return error_of<RunError>([&] { make(Split::val); }); };
  dir_.write("val/labels.csv", "file,dog\nx.png,0\n");
  EXPECT_THAT(error(), AllOf(HasSubstr("val/labels.csv:1] there is no column 'cat'")));
  dir_.write("val/labels.csv", "file,dog,eel,cat\nx.png,0,0,1\n");
  EXPECT_THAT(error(), HasSubstr("val/labels.csv:1] the column 'eel' is not in train/labels.csv"));
}

TEST_F(ImageLabels, CountsTheLabelsOfWhatIsLeftOfTrain) {
  std::string csv = "file,cat,dog\n";
  for (int i = 0; i < 20; ++i) {
    const std::string file = std::to_string(i) + ".png";
    dir_.write("train/" + file, png_file(ramp(4, 4, 3)));
    csv += file + (i % 2 == 0 ? ",1,0\n" : ",1,1\n");
  }
  dir_.write("train/labels.csv", csv);
  DataConfig data = config();
  data.val = 5;
  const std::vector<SplitDataset> splits = make_splits(data);
  const std::vector<std::uint64_t> train = splits.at(0).dataset->class_counts();
  const std::vector<std::uint64_t> val = splits.at(1).dataset->class_counts();
  EXPECT_EQ(train.at(0), 15u);
  EXPECT_EQ(val.at(0), 5u);
  EXPECT_EQ(train.at(1) + val.at(1), 10u);
}

TEST_F(ImageLabels, PackedHaveTheSameLabelsAndCounts) {
  const auto original = make();
  pack_dataset(*original, {}, dir_ / "train.packed");
  DataConfig packed = configured("--data.name packed").data;
  packed.root = dir_.path();
  const auto copy = make_dataset(packed, Split::train);
  EXPECT_EQ(copy->class_names(), original->class_names());
  EXPECT_EQ(copy->class_counts(), original->class_counts());
  for (std::size_t i = 0; i < 2; ++i) EXPECT_EQ(read(*copy, i)[1].bytes, read(*original, i)[1].bytes);
}

TEST_F(ImageLabels, NamesTheLineOfWhatIsWrong) {
  EXPECT_THAT(refusal("file,cat\na.jpg,1\n\na.jpg,0\n"), HasSubstr("labels.csv:4] a.jpg is in line 2 already"));
  EXPECT_THAT(refusal("file,cat\na.jpg,1\n./a.jpg,0\n"), HasSubstr("labels.csv:3] a.jpg is in line 2 already"));
  EXPECT_THAT(refusal("file,cat\na.jpg,1\nb.jpg,0\n"),
              AllOf(HasSubstr("labels.csv:3] there is no file"), HasSubstr("b.jpg")));
  EXPECT_THAT(refusal("file,cat\na.jpg,2\n"), HasSubstr("labels.csv:2] the label 'cat' is '2'; allowed: 0 or 1"));
  EXPECT_THAT(refusal("file,cat\na.jpg,\n"), HasSubstr("the label 'cat' is ''"));
  EXPECT_THAT(refusal("file,cat\n../train/a.jpg,1\n"), HasSubstr("'../train/a.jpg' is not the path of an image"));
  EXPECT_THAT(refusal("file,cat\n/etc/passwd,1\n"), HasSubstr("'/etc/passwd' is not the path of an image"));
  EXPECT_THAT(refusal("file,cat\n,1\n"), HasSubstr("'' is not the path of an image"));
  EXPECT_THAT(refusal("file,cat\ntown,1\n"), HasSubstr("there is no file"));
  EXPECT_THAT(refusal("file,cat\na.jpg,1,0\n"), HasSubstr("labels.csv:2] the row has 3 fields"));
  EXPECT_THAT(refusal("file,cat\n"), HasSubstr("the header has no rows"));
  EXPECT_THAT(refusal("name,cat\na.jpg,1\n"),
              HasSubstr("labels.csv:1] the columns are name, cat; expected one called 'file'"));
  EXPECT_THAT(refusal("file\na.jpg\n"), HasSubstr("labels.csv:1] the columns are file; expected"));
}

TEST_F(ImageLabels, SaysWhichFileIsMissing) {
  std::filesystem::create_directories(dir_ / "test");
  EXPECT_THAT(error_of<UsageError>([&] { make(Split::test); }),
              AllOf(HasSubstr("there is no file"), HasSubstr("test/labels.csv")));
  std::filesystem::remove(dir_ / "train/labels.csv");
  EXPECT_THAT(error_of<UsageError>([&] { make(); }), HasSubstr("train/labels.csv"));
}

}  // namespace
}  // namespace trainyard
