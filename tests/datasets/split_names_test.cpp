#include "datasets/split_names.h"

#include <gmock/gmock.h>

#include "support/configured.h"
#include "support/error_of.h"
#include "support/image_files.h"
#include "support/tar_file.h"
#include "support/temp_dir.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::HasSubstr;

TEST(SplitNames, KnowsUsualNamesInAnyCase) {
  const std::vector<std::pair<Split, std::string>> names = {
      {Split::train, "Train"},    {Split::train, "training"}, {Split::val, "valid"},   {Split::val, "VAL"},
      {Split::val, "Validation"}, {Split::val, "dev"},        {Split::test, "Testing"}};
  for (const auto& [split, name] : names) {
    const TempDir dir;
    std::filesystem::create_directory(dir / name);
    for (const Split one : all_splits) EXPECT_EQ(misnamed_split(dir.path(), one, ""), one == split ? name : "");
    EXPECT_EQ(misnamed_split(dir.path(), split, ".csv"), "") << "a folder";
    dir.write(name + ".csv", "");
    EXPECT_EQ(misnamed_split(dir.path(), split, ".csv"), name + ".csv");
    EXPECT_EQ(misnamed_split(dir.path(), split, ".bin"), "");
  }
}

TEST(SplitNames, AreNotThoseOfOtherEntries) {
  const TempDir dir;
  for (const char* name : {"train", "val", "test", "validate", "value", "devkit", "test2"}) {
    std::filesystem::create_directory(dir / name);
  }
  dir.write("valid", "a file");
  for (const Split split : all_splits) {
    EXPECT_EQ(misnamed_split(dir.path(), split, ""), "");
    EXPECT_EQ(misnamed_split(dir / "nowhere", split, ""), "");
  }
}

/// Data with the split train, in the form that one dataset reads.
struct Form {
  std::string dataset;  ///< with its flags
  std::string ending;   ///< of the splits
  std::vector<std::pair<std::string, std::string>> files;
};

std::vector<Form> forms() {
  const std::string image = png_file(ramp(6, 8, 3));
  const std::string table = "x,y\n1,2\n3,4\n5,6\n";
  return {
      {"image_folder", "", {{"train/cat/a.png", image}, {"train/dog/a.png", image}}},
      {"image_labels", "", {{"train/a.png", image}, {"train/labels.csv", "file,cat\na.png,1\n"}}},
      {"image_masks",
       "",
       {{"classes.txt", "sky\nroad\n"},
        {"train/images/a.png", image},
        {"train/masks/a.png", png_file(ramp(6, 8, 1, 2), {.color_type = 0})}}},
      {"tar_shards",
       "",
       {{"train/0.tar", tar_member("a.png", image) + tar_member("a.cls", "0") + tar_member("b.png", image) +
                            tar_member("b.cls", "1") + tar_end()}}},
      {"csv --data.csv.target y", ".csv", {{"train.csv", table}}},
      {"text --data.text.context 4", ".txt", {{"train.txt", std::string(200, 'x')}}},
      {"tokens --data.tokens.context 4 --data.tokens.vocabulary 300", ".bin", {{"train.bin", std::string(200, '\0')}}}};
}

class MisnamedSplits : public testing::Test {
 protected:
  MisnamedSplits() { setenv("XDG_CACHE_HOME", cache_.path().c_str(), 1); }
  ~MisnamedSplits() override { unsetenv("XDG_CACHE_HOME"); }

  static DataConfig config(const TempDir& dir, const std::string& dataset) {
    DataConfig data = configured("--data.name " + dataset).data;
    data.root = dir.path();
    return data;
  }

  static void expect_refused_until_renamed(const TempDir& dir, const Form& form, Split split, const std::string& name) {
    const std::string own = to_string(split) + form.ending;
    std::filesystem::copy(dir / ("train" + form.ending), dir / (name + form.ending),
                          std::filesystem::copy_options::recursive);
    const std::string error = error_of<UsageError>([&] { make_dataset(config(dir, form.dataset), split); });
    EXPECT_EQ(error,
              fmt::format("[data.root] {0} has {1}{2}, and splits are called train{2}, val{2} and test{2}: rename "
                          "it to {3}",
                          dir.path(), name, form.ending, own));
    std::filesystem::rename(dir / (name + form.ending), dir / own);
    EXPECT_NE(make_dataset(config(dir, form.dataset), split), nullptr);
  }

  TempDir cache_;
};

TEST_F(MisnamedSplits, AreRefusedByEveryDatasetUntilRenamed) {
  for (const Form& form : forms()) {
    SCOPED_TRACE(form.dataset);
    const TempDir dir;
    for (const auto& [name, content] : form.files) dir.write(name, content);
    expect_refused_until_renamed(dir, form, Split::val, "valid");
    expect_refused_until_renamed(dir, form, Split::test, "Test");
    std::filesystem::rename(dir / ("train" + form.ending), dir / ("Train" + form.ending));
    EXPECT_THAT(error_of<UsageError>([&] { make_dataset(config(dir, form.dataset), Split::train); }),
                HasSubstr("has Train" + form.ending + ", and splits are called"));
  }
}

TEST_F(MisnamedSplits, OfPackedFilesAreRefused) {
  const TempDir dir;
  dir.write("valid.packed", "");
  EXPECT_THAT(error_of<UsageError>([&] { make_dataset(config(dir, "packed"), Split::val); }),
              HasSubstr("has valid.packed, and splits are called train.packed, val.packed and test.packed"));
}

TEST_F(MisnamedSplits, AreNoSplitsAmongOtherTexts) {
  const TempDir dir;
  dir.write("training.txt", std::string(200, 'x'));
  dir.write("other.txt", std::string(200, 'y'));
  EXPECT_NE(make_dataset(config(dir, "text --data.text.context 4"), Split::train), nullptr);
}

}  // namespace
}  // namespace trainyard
