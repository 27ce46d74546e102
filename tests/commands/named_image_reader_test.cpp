#include "commands/named_image_reader.h"

#include <climits>

#include <gmock/gmock.h>

#include "datasets/read_file.h"
#include "support/image_files.h"
#include "support/temp_dir.h"
#include "transforms/pipeline.h"

namespace trainyard {
namespace {

using testing::HasSubstr;

struct Read {
  std::string name;
  std::string error;
  std::vector<std::byte> pixels;
};

std::vector<Read> read_all(NamedImageReader& reader, const std::vector<std::string>& names) {
  std::vector<Read> all;
  const auto take = [&] {
    const std::optional<ImageBatch> batch = reader.take();
    if (!batch) return false;
    for (const auto& [name, error, pixels] : batch->images) {
      all.push_back({name, error, {pixels.begin(), pixels.end()}});
    }
    return true;
  };
  for (const std::string& name : names) {
    while (reader.is_full()) take();
    reader.add(name);
  }
  reader.flush();
  while (take()) continue;
  return all;
}

PoolOptions pool_options(int workers) { return {.workers = workers, .batch_size = 4, .prefetch = 2}; }

TEST(NamedImageReader, ReturnsImagesOfAnySizeInOrderWithEachError) {
  const TempDir dir;
  const NamedImageOptions options{.shape = {12, 10, 3}, .transforms = {"resize(size=14)"}, .image = {}};
  std::vector<std::string> names;
  for (std::size_t i = 0; i < 50; ++i) {
    const Image image = noisy_ramp(16 + i, 60 - i, 3);
    names.push_back(dir.write(fmt::format("{}", i), i % 2 == 0 ? jpeg_file(image, 90) : png_file(image)));
  }
  names[7] = dir / "missing";
  names[20] = dir.write("bad", "not an image");
  for (const std::size_t i : {40, 41, 42, 43}) names[i] = names[20];  // a whole batch
  for (const int workers : {0, 1, 3}) {
    NamedImageReader reader(pool_options(workers), options);
    const std::vector<Read> all = read_all(reader, names);
    ASSERT_EQ(all.size(), names.size());
    for (std::size_t i = 0; i < all.size(); ++i) {
      EXPECT_EQ(all[i].name, names[i]);
      if (names[i] == names[7] || names[i] == names[20]) {
        EXPECT_THAT(all[i].error, HasSubstr(names[i]));
        continue;
      }
      ASSERT_EQ(all[i].error, "");
      Scratch scratch;
      const Image decoded = decode_image(read_whole_file(names[i], scratch), 3, names[i], {});
      const TransformPipeline pipeline(options.transforms, {{"image", DType::uint8, {12, 10, 3}}});
      EXPECT_EQ(all[i].pixels, resize(pipeline.apply(decoded, 0, 0, 0), {12, 10}).pixels) << i;
    }
  }
}

TEST(NamedImageReader, ReturnsWhatWasAddedBeforeMoreIsAdded) {
  const TempDir dir;
  const std::string name = dir.write("a", png_file(noisy_ramp(8, 8, 1), {.color_type = 0}));
  NamedImageReader reader(pool_options(1), {.shape = {8, 8, 1}, .transforms = {}, .image = {}});
  for (int i = 0; i < 30; ++i) {
    const std::vector<Read> one = read_all(reader, {name});
    ASSERT_EQ(one.size(), 1u);
    EXPECT_EQ(one[0].pixels, noisy_ramp(8, 8, 1).pixels);
  }
  EXPECT_FALSE(reader.take().has_value());
}

TEST(SharedNames, KeepsTheLongestNameAndCutsALongError) {
  const SharedNames names(2, 3);
  EXPECT_EQ(names.size(), 6u);
  const std::string longest(PATH_MAX, 'x');
  names.set_name(5, longest);
  names.set_error(5, std::string(100'000, 'e'));
  names.set_name(4, "");
  EXPECT_EQ(names.name(5), longest);
  EXPECT_GE(names.error(5).size(), std::size_t{PATH_MAX});
  EXPECT_EQ(names.name(4), "");
  names.set_error(5, "");
  EXPECT_EQ(names.error(5), "");
}

}  // namespace
}  // namespace trainyard
