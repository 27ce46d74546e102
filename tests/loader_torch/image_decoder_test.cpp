// Images decoded on the GPU have the same pixels as those decoded by workers.

#include "loader_torch/image_decoder.h"

#include <gmock/gmock.h>

#include <ATen/Context.h>

#include "loader_torch/device_loader.h"
#include "loader_torch/slot_tensors.h"
#include "support/error_of.h"
#include "support/image_files.h"
#include "support/images_in_memory.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::HasSubstr;

/// Returns images of all kinds and several sizes, some of which the CPU must decode.
std::vector<std::string> photos() {
  std::vector<std::string> files;
  for (const ImageSize size : {ImageSize{75, 107}, {76, 108}, {375, 500}, {61, 64}, {9, 7}, {2, 3}, {1, 1}, {5, 4}}) {
    const Image image = noisy_ramp(size.height, size.width, 3);
    for (const auto& [across, down] : {std::pair{1, 1}, {2, 1}, {2, 2}, {1, 2}}) {
      files.push_back(jpeg_file(image, 90, false, across, down));
      files.push_back(jpeg_file(image, 50, false, across, down, /*restart=*/2));
    }
    files.push_back(jpeg_file(noisy_ramp(size.height, size.width, 1), 95));
    files.push_back(png_file(image));
    files.push_back(jpeg_file(image, 90, /*progressive=*/true));
  }
  for (int orientation = 1; orientation <= 8; ++orientation) {
    files.push_back(with_exif(jpeg_file(noisy_ramp(60, 91, 3), 90, false, 2, 2), exif_of(orientation)));
  }
  return files;
}

WorkerPool pool_of(const std::vector<std::string>& specs, DecodeMode decode, std::int64_t channels,
                   const std::vector<std::string>& files,
                   const PoolOptions& options = {.workers = 0, .batch_size = 16, .seed = 5}) {
  return WorkerPool(options, [=] {
    std::vector<LoadedSplit> splits(1);
    splits[0].dataset = std::make_unique<ImagesInMemory>(files, channels);
    splits[0].transforms = TransformPipeline(specs, splits[0].dataset->fields(), decode);
    if (decode == DecodeMode::gpu) splits[0].transforms.leave_files_to_gpu(1 << 17);
    return splits;
  });
}

class ImageDecoderOn : public testing::TestWithParam<ImageDecoder::Unit> {
 protected:
  void SetUp() override {
    if (!at::hasCUDA()) GTEST_SKIP() << "needs a GPU";
    decoder_.emplace(device_, GetParam());
    if (decoder_->unit() != GetParam()) GTEST_SKIP() << "the GPU has no JPEG engine";
  }

  // Compares two epochs of batches.
  void expect_pixels_of_workers(const std::vector<std::string>& specs, std::int64_t channels,
                                const std::vector<std::string>& files) {
    WorkerPool exact_pool = pool_of(specs, DecodeMode::exact, channels, files);
    WorkerPool left_pool = pool_of(specs, DecodeMode::gpu, channels, files);
    DataLoader exact(exact_pool, Split::train, {.shuffle = true});
    DataLoader left(left_pool, Split::train, {.shuffle = true});
    // nvJPEG's inverse DCT on the multiprocessors rounds differently.
    const int allowed_difference = GetParam() == ImageDecoder::Unit::engine ? 0 : 4;
    for (const std::uint64_t epoch : {0, 1}) {
      exact.start_epoch(epoch);
      left.start_epoch(epoch);
      while (const std::optional<Batch> expected = exact.next()) {
        const std::optional<Batch> batch = left.next();
        ASSERT_TRUE(batch);
        const at::Tensor images = decoder_->decode(*batch, 0).cpu();
        const at::Tensor pixels = tensor_in_slot(*expected, 0, false);
        for (std::int64_t i = 0; i < images.size(0); ++i) {
          EXPECT_LE((images[i].to(at::kInt) - pixels[i].to(at::kInt)).abs().max().item<int>(), allowed_difference)
              << (specs.empty() ? "no transform" : specs.front()) << ", file "
              << batch->sample_index(static_cast<std::size_t>(i)) << ", " << channels << " channels";
        }
      }
    }
  }

  at::Device device_{at::kCUDA, 0};
  std::optional<ImageDecoder> decoder_;
};

TEST_P(ImageDecoderOn, GivesThePixelsOfTheWorkers) {
  for (const std::vector<std::string>& specs :
       {std::vector<std::string>{"random_resized_crop(size=33)", "random_horizontal_flip"},
        {"random_resized_crop(size=224)", "random_horizontal_flip"},
        {"random_resized_crop(size=64, interpolation=bicubic)"},
        {"resize(size=40)", "center_crop(size=32)"},
        {"center_crop(size=120)"},
        {"resize(height=20, width=1)"},
        {"random_crop(size=64, padding=64)", "random_horizontal_flip"}}) {
    for (const std::int64_t channels : {3, 1}) expect_pixels_of_workers(specs, channels, photos());
  }
  EXPECT_EQ(decoder_->counts()[static_cast<std::size_t>(DecodedBy::trainer)], 0u);
  EXPECT_GT(decoder_->counts()[static_cast<std::size_t>(DecodedBy::gpu)], 1000u);
}

TEST_P(ImageDecoderOn, DecodesWholeImagesWithoutTransforms) {
  std::vector<std::string> files;
  for (int i = 0; i < 40; ++i) files.push_back(jpeg_file(noisy_ramp(90, 120, 3), 60 + i, false, 2, 2));
  expect_pixels_of_workers({}, 3, files);
}

TEST_P(ImageDecoderOn, DividesBatchesWhosePlanesAreTooLarge) {
  std::vector<std::string> files;
  for (int i = 0; i < 20; ++i) files.push_back(jpeg_file(ramp(4000, 3000, 3), 10, false, 2, 2));
  expect_pixels_of_workers({"random_resized_crop(size=64)"}, 3, files);
}

INSTANTIATE_TEST_SUITE_P(Units, ImageDecoderOn,
                         testing::Values(ImageDecoder::Unit::engine, ImageDecoder::Unit::multiprocessors),
                         [](const auto& test) {
                           return test.param == ImageDecoder::Unit::engine ? "Engine" : "Multiprocessors";
                         });

// With worker processes, whose batches are in registered memory, and with large batches.
TEST(DeviceLoader, DecodesOnTheGpuWhatWorkersLeaveToIt) {
  if (!at::hasCUDA()) GTEST_SKIP() << "needs a GPU";
  const std::vector<std::string> specs = {"random_resized_crop(size=48)", "random_horizontal_flip"};
  std::vector<std::string> files;
  for (int i = 0; i < 12; ++i) {
    for (std::string& file : photos()) files.push_back(std::move(file));
  }
  const at::Device device{at::kCUDA, 0};
  for (const PoolOptions& options : {PoolOptions{.workers = 0, .batch_size = 16, .seed = 5},
                                     PoolOptions{.workers = 3, .batch_size = 256, .seed = 5}}) {
    WorkerPool exact_pool = pool_of(specs, DecodeMode::exact, 3, files, options);
    WorkerPool left_pool = pool_of(specs, DecodeMode::gpu, 3, files, options);
    DeviceLoader exact(exact_pool, Split::train, {.shuffle = true}, device);
    DeviceLoader left(left_pool, Split::train, {.shuffle = true}, device);
    for (const std::uint64_t epoch : {0, 1, 2}) {
      std::vector<at::Tensor> images;  // compared later, so that nothing waits for the GPU between batches
      left.start_epoch(epoch);
      while (const std::optional<DeviceBatch> batch = left.next()) images.push_back(batch->field("image").data);
      exact.start_epoch(epoch);
      for (const at::Tensor& decoded : images) {
        const std::optional<DeviceBatch> expected = exact.next();
        ASSERT_TRUE(expected);
        EXPECT_TRUE(at::equal(decoded, expected->field("image").data));
      }
      EXPECT_FALSE(exact.next());
      EXPECT_EQ(left.stats().samples, files.size());
      EXPECT_GT(left.stats().bytes, 0u);
      EXPECT_GT(left.waited_seconds(), 0);
      EXPECT_LE(left.waited_seconds(), left.stats().seconds);
    }
  }
}

TEST(DeviceLoader, RefusesImagesForTheGpuOnTheCpu) {
  WorkerPool pool = pool_of({"resize(height=8, width=8)"}, DecodeMode::gpu, 3, photos());
  EXPECT_THAT(error_of<MachineError>([&] { DeviceLoader(pool, Split::train, {}, at::kCPU); }),
              HasSubstr("transform.decode = gpu, and there is no GPU"));
}

TEST(ImageDecoder, CountsWhatTheCpuDecoded) {
  EXPECT_EQ(describe(DecodeCounts{7}), "");
  EXPECT_EQ(describe(DecodeCounts{7, 2, 1}),
            "the CPU decoded 3 of 10 images: 2 no JPEG, 1 progressive or of another kind that the GPU does not decode");
}

}  // namespace
}  // namespace trainyard
