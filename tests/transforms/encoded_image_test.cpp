// JPEGs left to the GPU: framed and decoded as their headers describe, they have the pixels of decoding in a worker.

#include "transforms/encoded_image.h"

#include <algorithm>

#include <gmock/gmock.h>

#include "support/error_of.h"
#include "support/image_files.h"
#include "support/images_in_memory.h"
#include "support/read_field.h"
#include "transforms/pipeline.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const std::vector<std::vector<std::string>> framings = {{"random_resized_crop(size=33)", "random_horizontal_flip"},
                                                        {"random_resized_crop(size=64, interpolation=bicubic)"},
                                                        {"resize(size=40)", "center_crop(size=32)"},
                                                        {"resize(size=40)", "center_crop(size=50)"},
                                                        {"center_crop(size=120)"},
                                                        {"random_crop(size=64, padding=8)", "random_horizontal_flip"},
                                                        {"center_crop(size=40)", "resize(height=17, width=23)"},
                                                        {"random_horizontal_flip"},
                                                        {}};

/// Reads sample `index` of `images` as a worker does. Returns the bytes of the field.
std::vector<std::byte> read(const TransformPipeline& pipeline, const Dataset& images, std::size_t index,
                            std::uint64_t epoch, bool unmirrored = false) {
  std::vector<std::byte> bytes(pipeline.fields(images)[0].bytes());
  read_field(pipeline, images, index, 7, epoch, bytes, unmirrored);
  return bytes;
}

TransformPipeline leaving_to_gpu(const std::vector<std::string>& specs, const Dataset& images,
                                 std::size_t room = 1 << 20) {
  TransformPipeline pipeline(specs, images.fields(), DecodeMode::gpu);
  pipeline.leave_files_to_gpu(room);
  return pipeline;
}

/// Returns the pixels of an encoded image.
std::vector<std::byte> decoded(const Field& field, std::span<const std::byte> place) {
  const EncodedImage image = read_header(place);
  const auto rest = place.subspan(encoded_image_start);
  std::vector<std::byte> pixels(field.elements());
  if (image.decoded_by != DecodedBy::gpu) {
    std::copy_n(rest.begin(), pixels.size(), pixels.begin());
  } else {
    decode_on_cpu(image, rest.first(image.file_bytes), channels_of(field), pixels.data());
  }
  return pixels;
}

TEST(EncodedImage, HasThePixelsOfDecodingInAWorker) {
  const Image photo = noisy_ramp(75, 107, 3);
  for (const std::int64_t channels : {1, 3}) {
    for (const auto& [across, down, orientation] :
         {std::tuple{1, 1, 1}, {2, 1, 2}, {2, 2, 3}, {1, 2, 4}, {2, 2, 5}, {2, 1, 6}, {1, 1, 7}, {2, 2, 8}}) {
      const ImagesInMemory images({with_exif(jpeg_file(photo, 90, false, across, down), exif_of(orientation))},
                                  channels);
      for (const std::vector<std::string>& specs : framings) {
        const TransformPipeline exact(specs, images.fields());
        const TransformPipeline left = leaving_to_gpu(specs, images);
        for (std::uint64_t epoch = 0; epoch < 8; ++epoch) {
          for (const bool unmirrored : {false, true}) {
            const std::vector<std::byte> place = read(left, images, 0, epoch, unmirrored);
            ASSERT_EQ(read_header(place).decoded_by, DecodedBy::gpu);
            ASSERT_EQ(decoded(left.fields(images)[0], place), read(exact, images, 0, epoch, unmirrored))
                << (specs.empty() ? "no transform" : specs.front()) << ", epoch " << epoch;
          }
        }
      }
    }
  }
}

TEST(EncodedImage, IsDecodedByTheWorkerIfTheGpuCannot) {
  const Image photo = noisy_ramp(75, 107, 3);
  const std::string baseline = jpeg_file(photo, 90, false, 2, 2);
  ASSERT_NE(baseline.find("\xff\xc4"), std::string::npos);  // with its own Huffman tables
  const std::vector<std::pair<std::string, DecodedBy>> cases = {
      {baseline, DecodedBy::gpu},
      {jpeg_file(photo, 90, false, 1, 1, /*restart=*/3), DecodedBy::gpu},
      {jpeg_file(noisy_ramp(75, 107, 1), 90), DecodedBy::gpu},
      {baseline + "more", DecodedBy::gpu},
      {png_file(photo), DecodedBy::worker_other},
      {jpeg_file(photo, 90, /*progressive=*/true), DecodedBy::worker_kind},
      {jpeg_file(photo, 90, false, 4, 1), DecodedBy::worker_kind},
      {jpeg_file(noisy_ramp(75, 107, 4), 90), DecodedBy::worker_kind}};
  for (const auto& [file, by] : cases) {
    const ImagesInMemory images({file});
    const std::vector<std::string> specs = {"random_resized_crop(size=33)", "random_horizontal_flip"};
    const TransformPipeline left = leaving_to_gpu(specs, images);
    const std::vector<std::byte> place = read(left, images, 0, 1);
    EXPECT_EQ(read_header(place).decoded_by, by) << static_cast<int>(by);
    EXPECT_EQ(decoded(left.fields(images)[0], place), read(TransformPipeline(specs, images.fields()), images, 0, 1));
  }
}

TEST(EncodedImage, LeavesFilesThatAreTooLargeAndSecondScalingsToTheWorker) {
  const ImagesInMemory images({jpeg_file(noisy_ramp(75, 107, 3), 95)});
  const std::vector<std::string> once = {"resize(height=5, width=5)"};
  const TransformPipeline small = leaving_to_gpu(once, images, 1000);
  const std::vector<std::byte> place = read(small, images, 0, 0);
  EXPECT_EQ(place.size(), encoded_image_start + 1000);
  EXPECT_EQ(read_header(place).decoded_by, DecodedBy::worker_size);
  EXPECT_EQ(decoded(small.fields(images)[0], place), read(TransformPipeline(once, images.fields()), images, 0, 0));

  const std::vector<std::string> twice = {"resize(size=40)", "random_resized_crop(size=16)"};
  const TransformPipeline left = leaving_to_gpu(twice, images);
  const std::vector<std::byte> other = read(left, images, 0, 0);
  EXPECT_EQ(read_header(other).decoded_by, DecodedBy::worker_transform);
  EXPECT_EQ(decoded(left.fields(images)[0], other), read(TransformPipeline(twice, images.fields()), images, 0, 0));
}

TEST(EncodedImage, HasRoomForTheFileAndForThePixels) {
  const std::vector<Field> fields = {{.name = "image", .shape = {4, 5, 3}, .is_stored_image = true},
                                     {.name = "depth", .shape = {4, 5, 1}}};
  const ImagesInMemory unused({jpeg_file(ramp(4, 5, 3))});
  for (const std::size_t bytes : {10, 1000}) {
    TransformPipeline pipeline({}, fields, DecodeMode::gpu);
    pipeline.leave_files_to_gpu(bytes);
    EXPECT_EQ(pipeline.fields(unused)[0].encoded_bytes, encoded_image_start + std::max<std::size_t>(bytes, 60));
    EXPECT_EQ(pipeline.fields(unused)[1].encoded_bytes, 0u) << "has pixels, not a file";
  }
}

TEST(EncodedImage, OfADamagedFileIsTheWorkersError) {
  const std::string whole = jpeg_file(noisy_ramp(75, 107, 3), 90);
  const std::string cut = whole.substr(0, whole.size() / 2);
  const ImagesInMemory images({whole, cut});
  const TransformPipeline left = leaving_to_gpu({"resize(size=40)", "center_crop(size=32)"}, images);
  EXPECT_THAT(error_of<RunError>([&] { read(left, images, 1, 0); }), HasSubstr("truncated JPEG"));

  // A Huffman table with more codes than possible.
  std::string damaged = whole;
  const std::size_t table = damaged.find("\xff\xc4");
  ASSERT_NE(table, std::string::npos);
  damaged[table + 5] = 3;  // the number of one-bit codes
  const ImagesInMemory others({whole, damaged});
  EXPECT_THAT(error_of<RunError>([&] { read(left, others, 1, 0); }), HasSubstr("damaged JPEG"));
}

TEST(EncodedImage, NamesImagesThatComeOutAtAnotherSize) {
  const ImagesInMemory images({jpeg_file(ramp(20, 30, 3)), jpeg_file(ramp(21, 30, 3))});
  const TransformPipeline left = leaving_to_gpu({}, images);
  EXPECT_THAT(error_of<RunError>([&] { read(left, images, 1, 0); }), AllOf(HasSubstr("image 1"), HasSubstr("30 x 21")));
}

TEST(EncodedImage, RefusesTransformsOfPixelsAndSamplesWithoutImageFiles) {
  const ImagesInMemory images({jpeg_file(ramp(20, 30, 3))});
  const auto refused = [&](const std::vector<std::string>& specs) {
    return error_of<UsageError>([&] { TransformPipeline(specs, images.fields(), DecodeMode::gpu); });
  };
  EXPECT_THAT(refused({"resize(height=8, width=8)", "color_jitter"}), HasSubstr("'color_jitter' changes pixels"));
  EXPECT_THAT(refused({"random_horizontal_flip", "resize(height=8, width=8)"}),
              HasSubstr("'random_horizontal_flip' changes pixels"));
  const std::vector<Field> numbers = {{.name = "numeric", .dtype = DType::float32, .shape = {4}}};
  EXPECT_THAT(error_of<UsageError>([&] { TransformPipeline({}, numbers, DecodeMode::gpu); }),
              HasSubstr("gpu is for image files"));
}

TEST(EncodedImage, TakesTheLargestFilesIntoAccount) {
  const std::string small = jpeg_file(ramp(8, 8, 3), 30);
  const std::string large = jpeg_file(noisy_ramp(75, 107, 3), 100);
  const ImagesInMemory images({small, large, small, "not an image"});
  EXPECT_EQ(largest_image_file(images, 100), large.size());
  EXPECT_EQ(largest_image_file(images, 1), small.size());
}

}  // namespace
}  // namespace trainyard
