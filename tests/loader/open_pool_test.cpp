// How a configuration determines the datasets and transforms of a pool.

#include "loader/open_pool.h"

#include <gmock/gmock.h>

#include "support/image_files.h"
#include "support/temp_dir.h"
#include "transforms/encoded_image.h"

namespace trainyard {
namespace {

TEST(DatasetFactory, LeavesImagesToTheGpuUnlessTheCpuTrains) {
  const TempDir dir;
  const std::string file = jpeg_file(noisy_ramp(60, 90, 3), 90, false, 2, 2);
  for (const char* const path : {"train/cat/a.jpg", "train/dog/b.jpg", "val/cat/c.jpg", "val/dog/d.jpg"}) {
    dir.write(path, file);
  }
  Config config;
  config.data.name = "image_folder";
  config.data.root = dir.path();
  config.transform.train = config.transform.test = {"resize(height=8, width=8)"};
  config.transform.decode = DecodeMode::gpu;
  for (const auto& [device, bytes] :
       {std::pair{"auto", encoded_image_start + file.size() + file.size() / 2}, {"cpu", std::size_t{8 * 8 * 3}}}) {
    config.train.device = device;
    for (const LoadedSplit& split : dataset_factory(config)()) {
      EXPECT_EQ(split.fields()[0].bytes(), bytes) << device;
      EXPECT_EQ(split.fields()[0].shape, (std::vector<std::int64_t>{8, 8, 3}));
    }
  }
}

}  // namespace
}  // namespace trainyard
