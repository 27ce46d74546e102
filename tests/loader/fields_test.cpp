// Loading samples with several fields. All other tests of the loader use those of tests/support/checkable_pool.h.

#include <gmock/gmock.h>

#include "config/words.h"
#include "datasets/splits.h"
#include "loader/data_loader.h"
#include "support/checkable_pool.h"
#include "support/configured.h"
#include "support/error_of.h"
#include "support/image_files.h"
#include "support/temp_dir.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// Returns the elements of all fields of all batches of an epoch.
std::vector<std::vector<std::byte>> batches_of(WorkerPool& pool, std::uint64_t epoch,
                                               const DataLoaderOptions& options = {.shuffle = true}) {
  DataLoader loader(pool, Split::train, options);
  std::vector<std::vector<std::byte>> batches;
  loader.start_epoch(epoch);
  while (const auto batch = loader.next()) {
    std::vector<std::byte>& bytes = batches.emplace_back();
    for (const BatchField& field : batch->fields()) {
      bytes.insert(bytes.end(), field.elements.begin(), field.elements.end());
    }
  }
  return batches;
}

/// A few images with masks on disk.
class MaskFiles : public testing::TestWithParam<int> {
 protected:
  MaskFiles() {
    setenv("XDG_CACHE_HOME", cache_.path().c_str(), 1);
    dir_.write("classes.txt", "a\nb\nc\n");
    for (std::size_t i = 0; i < 12; ++i) {
      const std::size_t side = 20 + i;
      dir_.write(fmt::format("train/images/{:02}.jpg", i), jpeg_file(ramp(side, side + 5, 3)));
      dir_.write(fmt::format("train/masks/{:02}.png", i), png_file(ramp(side, side + 5, 1, 3), {.color_type = 0}));
    }
  }
  ~MaskFiles() override { unsetenv("XDG_CACHE_HOME"); }

  DatasetFactory factory(const std::vector<std::string>& transforms) const {
    return [root = dir_.path(), transforms] {
      DataConfig config = configured("--data.name image_masks").data;
      config.root = root;
      std::vector<LoadedSplit> splits(1);
      splits[0].dataset = make_dataset(config, Split::train);
      splits[0].transforms = TransformPipeline(transforms, splits[0].dataset->fields());
      return splits;
    };
  }

  TempDir dir_;
  TempDir cache_;
};

TEST_P(MaskFiles, AreTheSameWithAnyNumberOfWorkersAndFromTheCache) {
  const DatasetFactory make = factory({"random_resized_crop(size=16)", "random_horizontal_flip", "color_jitter"});
  const auto read = [&](int workers, SampleCache cache) {
    WorkerPool pool({.workers = workers, .batch_size = 5, .cache = cache, .seed = 3}, make);
    std::vector<std::vector<std::byte>> batches;
    for (const std::uint64_t epoch : {0, 1, 2}) {
      for (std::vector<std::byte>& batch : batches_of(pool, epoch)) batches.push_back(std::move(batch));
    }
    return batches;
  };
  const auto expected = read(0, SampleCache::none);
  EXPECT_EQ(read(GetParam(), SampleCache::none), expected);
  EXPECT_EQ(read(GetParam(), SampleCache::shm), expected);
}

TEST_P(MaskFiles, AMaskWithANumberThatIsNoClassIsNamed) {
  Image mask = ramp(24, 29, 1, 3);
  mask.pixels[5 * 29 + 7] = std::byte{3};
  dir_.write("train/masks/04.png", png_file(mask, {.color_type = 0}));
  WorkerPool pool({.workers = GetParam(), .batch_size = 5}, factory({"center_crop(size=20)"}));
  EXPECT_THAT(error_of<RunError>([&] { batches_of(pool, 0, {}); }),
              HasSubstr("sample 4 of train cannot be read: [data] " + (dir_ / "train/masks/04.png") +
                        ": mask has the value 3 at row 3, column 3; allowed: 0 to 2, and 255 (ignored)"));
  // Only the cropped part is checked.
  WorkerPool cut({.workers = GetParam(), .batch_size = 5}, factory({"center_crop(size=10)"}));
  EXPECT_NO_THROW(batches_of(cut, 0, {}));
}

INSTANTIATE_TEST_SUITE_P(Workers, MaskFiles, testing::Values(0, 1, 3),
                         [](const auto& with) { return std::to_string(with.param); });

DatasetFactory text_factory(const std::string& root) {
  return [root] {
    DataConfig config = configured("--data.name text --data.text.context 16").data;
    config.root = root;
    std::vector<LoadedSplit> splits;
    for (SplitDataset& made : make_splits(config)) {
      splits.push_back({.dataset = std::move(made.dataset), .transforms = {}, .from_train = made.from_train});
    }
    return splits;
  };
}

TEST(RandomWindows, AreAFunctionOfSeedEpochAndSample) {
  const TempDir dir;
  std::string text;
  RandomStream random(1);
  for (int i = 0; i < 5'000; ++i) text += static_cast<char>('a' + random.below(26));
  const std::string root = dir.write("text", text);
  const auto read = [&](int workers, std::uint64_t seed, std::uint64_t epoch) {
    WorkerPool pool({.workers = workers, .batch_size = 20, .seed = seed}, text_factory(root));
    return batches_of(pool, epoch);
  };
  const auto expected = read(0, 1, 4);
  EXPECT_EQ(expected.size(), (4'500u / 16 + 19) / 20);
  EXPECT_EQ(read(3, 1, 4), expected);
  EXPECT_NE(read(0, 2, 4), expected);
  EXPECT_NE(read(0, 1, 5), expected);
}

TEST(RandomWindows, AreNotKept) {
  const TempDir dir;
  const std::string root = dir.write("text", std::string(500, 'x'));
  for (const SampleCache cache : {SampleCache::shm, SampleCache::gpu}) {
    EXPECT_THAT(
        error_of<UsageError>([&] { WorkerPool({.workers = 0, .cache = cache}, text_factory(root)); }),
        AllOf(HasSubstr(fmt::format("[loader.cache] {} keeps samples", word(cache))), HasSubstr("those of train")));
  }
}

/// Samples with these fields, filled with zeros.
class Zeros final : public Dataset {
 public:
  explicit Zeros(std::vector<Field> fields, bool fills_all = true)
      : fields_(std::move(fields)), fills_all_(fills_all) {}
  std::size_t size() const override { return 3; }
  const std::vector<Field>& fields() const override { return fields_; }
  std::uint64_t fingerprint() const override { return 0; }
  void read(std::size_t /*index*/, RandomStream /*random*/, Sample& sample) const override {
    for (std::size_t i = 0; i < fields_.size() - (fills_all_ ? 0 : 1); ++i) {
      std::ranges::fill(sample.elements(i), std::byte{0});
    }
  }

 private:
  std::vector<Field> fields_;
  bool fills_all_;
};

std::string error_with(const std::vector<Field>& train, const std::vector<Field>& val) {
  return error_of<UsageError>([&] {
    WorkerPool pool({.workers = 0}, [&] {
      std::vector<LoadedSplit> splits(2);
      splits[0].dataset = std::make_unique<Zeros>(train);
      splits[1].dataset = std::make_unique<Zeros>(val);
      return splits;
    });
  });
}

TEST(Fields, MustBeTheSameInAllSplits) {
  const Field image{.name = "image", .shape = {4, 4, 1}};
  const Field mask{.name = "mask", .shape = {4, 4}};
  Field floats = image;
  floats.dtype = DType::float32;
  for (const std::vector<Field>& val : {std::vector{image}, {mask, image}, {floats, mask}}) {
    EXPECT_THAT(error_with({image, mask}, val),
                AllOf(HasSubstr("samples of val are"), HasSubstr("those of train image (uint8, 4 x 4 x 1), mask"),
                      HasSubstr("all splits must have the same fields")));
  }
  EXPECT_THAT(error_with({image, image}, {image, image}), HasSubstr("two fields of the name image"));
  EXPECT_THAT(error_with({}, {}), HasSubstr("have 0 fields"));
  EXPECT_THAT(error_with(std::vector<Field>(17, image), {image}), HasSubstr("have 17 fields"));
}

TEST(Fields, AFieldThatIsNotFilledIsNamed) {
  WorkerPool pool({.workers = 0, .batch_size = 2}, [] {
    std::vector<LoadedSplit> splits(1);
    splits[0].dataset = std::make_unique<Zeros>(
        std::vector{Field{.name = "image", .shape = {4, 4, 1}}, Field{.name = "target", .shape = {2}}}, false);
    return splits;
  });
  EXPECT_THAT(error_of<RunError>([&] { batches_of(pool, 0, {}); }),
              HasSubstr("sample 0 of train cannot be read: [data] read() has not filled the field target of sample 0"));
}

TEST(Fields, SplitsMayDifferInSize) {
  WorkerPool pool({.workers = 2, .batch_size = 2}, [] {
    std::vector<LoadedSplit> splits(2);
    splits[0].dataset = std::make_unique<Zeros>(std::vector{Field{.name = "image", .shape = {4, 4, 1}}});
    splits[1].dataset = std::make_unique<Zeros>(std::vector{Field{.name = "image", .shape = {9, 3, 1}}});
    return splits;
  });
  for (const auto& [split, bytes] : {std::pair{Split::train, 16u}, {Split::val, 27u}}) {
    DataLoader loader(pool, split);
    loader.start_epoch(0);
    EXPECT_EQ(loader.next()->field("image").elements.size(), 2 * bytes);
    EXPECT_THAT(error_of<RunError>([&] { static_cast<void>(loader.next()->field("mask")); }),
                HasSubstr("there is no field 'mask' in a batch of image (uint8"));
  }
}

}  // namespace
}  // namespace trainyard
