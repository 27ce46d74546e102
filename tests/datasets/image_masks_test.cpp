#include <gmock/gmock.h>

#include "datasets/dataset.h"
#include "support/configured.h"
#include "support/error_of.h"
#include "support/image_files.h"
#include "support/temp_dir.h"
#include "transforms/pipeline.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class ImageMasks : public testing::Test {
 protected:
  ImageMasks() {
    setenv("XDG_CACHE_HOME", cache_.path().c_str(), 1);
    dir_.write("classes.txt", "sky\nroad\ncar\n");
    add("train/images/a.jpg", 6, 8);
    add_mask("train/masks/a.png", 6, 8);
    add("train/images/town/b.png", 5, 9);
    add_mask("train/masks/town/b.png", 5, 9);
  }
  ~ImageMasks() override { unsetenv("XDG_CACHE_HOME"); }

  void add(const std::string& name, std::size_t height, std::size_t width) const {
    dir_.write(name, name.ends_with("png") ? png_file(ramp(height, width, 3)) : jpeg_file(ramp(height, width, 3)));
  }
  static Image mask_of(std::size_t height, std::size_t width) { return ramp(height, width, 1, 3); }
  void add_mask(const std::string& name, std::size_t height, std::size_t width) const {
    dir_.write(name, png_file(mask_of(height, width), {.color_type = 3}));
  }

  std::unique_ptr<Dataset> make(Split split = Split::train, const std::string& flags = "") const {
    DataConfig config = configured("--data.name image_masks " + flags).data;
    config.root = dir_.path();
    return make_dataset(config, split);
  }

  TempDir dir_;
  TempDir cache_;
};

std::vector<FieldContent> read(const Dataset& dataset, std::size_t index) {
  return TransformPipeline().read_any_size(dataset, index, 0, 0);
}

TEST_F(ImageMasks, PairsImagesAndMasksByName) {
  const auto dataset = make();
  ASSERT_EQ(dataset->size(), 2u);
  EXPECT_THAT(dataset->class_names(), ElementsAre("sky", "road", "car"));
  EXPECT_THAT(dataset->name(1), HasSubstr("train/images/town/b.png"));
  EXPECT_THAT(dataset->image_name(1, 1), HasSubstr("train/masks/town/b.png"));
  const std::vector<Field>& fields = dataset->fields();
  ASSERT_EQ(fields.size(), 2u);
  EXPECT_TRUE(fields[0].is_image());
  EXPECT_TRUE(fields[1].is_mask());
  EXPECT_EQ(fields[1].values, (ValueRange{3, 255}));
  const std::vector<FieldContent> sample = read(*dataset, 1);
  EXPECT_EQ(sample[0].bytes, ramp(5, 9, 3).pixels);
  EXPECT_EQ(sample[1].bytes, mask_of(5, 9).pixels) << "the numbers, not the palette's colours";
  EXPECT_EQ(make(Split::train, "--data.image_masks.ignore -1")->fields()[1].values, (ValueRange{3}));
}

TEST_F(ImageMasks, LeavesOutWhatHasNoPartner) {
  add("train/images/c.jpg", 6, 8);
  add_mask("train/masks/d.png", 6, 8);
  dir_.write("train/images/.DS_Store", "x");
  const auto dataset = make();
  EXPECT_EQ(dataset->size(), 2u);
  const std::string left_out = list_left_out(dataset->left_out());
  EXPECT_THAT(left_out, AllOf(HasSubstr("image without a mask: 1 (images/c.jpg)"),
                              HasSubstr("mask without an image: 1 (masks/d.png)")));
}

TEST_F(ImageMasks, HasTheSplitsThatHaveAFolder) {
  EXPECT_EQ(make(Split::val), nullptr);
  add("val/images/x.jpg", 6, 8);
  add_mask("val/masks/x.png", 6, 8);
  EXPECT_EQ(make(Split::val)->size(), 1u);
  EXPECT_EQ(make(Split::test), nullptr);
}

TEST_F(ImageMasks, SaysWhatIsMissing) {
  const auto error = [&] { return error_of<UsageError>([&] { make(); }); };
  add("train/images/a.png", 6, 8);
  EXPECT_THAT(error(), AllOf(HasSubstr("images/a.jpg and images/a.png have one name")));
  std::filesystem::remove(dir_ / "train/images/a.png");
  std::filesystem::remove_all(dir_ / "train/masks");
  EXPECT_THAT(error(), HasSubstr("has no folder masks"));
  std::filesystem::create_directories(dir_ / "train/masks");
  dir_.write("train/masks/z.png", png_file(mask_of(2, 2), {.color_type = 0}));
  EXPECT_THAT(error(), AllOf(HasSubstr("no image with a mask"), HasSubstr("image without a mask: 2")));
  std::filesystem::remove(dir_ / "classes.txt");
  EXPECT_THAT(error(), AllOf(HasSubstr("there is no file"), HasSubstr("classes.txt")));
}

TEST_F(ImageMasks, NamesTheSampleWhoseMaskHasAnotherSize) {
  add_mask("train/masks/a.png", 6, 7);
  const auto dataset = make();
  EXPECT_THAT(error_of<RunError>([&] { read(*dataset, 0); }),
              AllOf(HasSubstr("images/a.jpg"), HasSubstr("image has 8 x 6 pixels and mask has 7 x 6")));
}

TEST_F(ImageMasks, NamesAMaskThatIsNone) {
  dir_.write("train/masks/a.png", png_file(ramp(6, 8, 3)));
  const auto dataset = make();
  EXPECT_THAT(error_of<RunError>([&] { read(*dataset, 0); }), AllOf(HasSubstr("masks/a.png"), HasSubstr("8-bit RGB")));
}

}  // namespace
}  // namespace trainyard
