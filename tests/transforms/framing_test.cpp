// Crops and resizes: which part they take, and that applying several at once gives the same pixels as one by one.

#include <algorithm>
#include <cmath>

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

using Images = ImagesInMemory;

Image read(const Images& images, const std::vector<std::string>& specs, std::size_t index = 0,
           DecodeMode decode = DecodeMode::exact) {
  const TransformPipeline pipeline(specs, images.fields(), decode);
  const std::vector<std::int64_t>& shape = pipeline.fields(images)[0].shape;
  Image image{static_cast<std::size_t>(shape[0]), static_cast<std::size_t>(shape[1]), 3, {}};
  image.pixels.resize(pipeline.fields(images)[0].bytes());
  read_field(pipeline, images, index, 1, 2, image.pixels);
  return image;
}

Image cut(const Image& image, std::size_t top, std::size_t left, std::size_t height, std::size_t width) {
  Image result{height, width, image.channels, {}};
  for (std::size_t y = 0; y < height; ++y) {
    const auto row =
        image.pixels.begin() + static_cast<std::ptrdiff_t>(((top + y) * image.width + left) * image.channels);
    result.pixels.insert(result.pixels.end(), row, row + static_cast<std::ptrdiff_t>(width * image.channels));
  }
  return result;
}

const Image photo = ramp(75, 107, 3);
const Images png({png_file(photo)});

TEST(Framing, ResizesTheShorterSideAndCutsTheMiddle) {
  const Image resized = read(png, {"resize(size=50)"});
  EXPECT_EQ(resized.height, 50u);
  EXPECT_EQ(resized.width, 71u);  // 50 × 107 / 75, rounded down
  EXPECT_EQ(resized.pixels, resize(photo, {50, 71}).pixels);
  const Image middle = read(png, {"resize(size=50)", "center_crop(size=40)"});
  EXPECT_EQ(middle.pixels, cut(resized, 5, 16, 40, 40).pixels);  // 15.5 is rounded to even
}

TEST(Framing, InterpolatesAsAsked) {
  EXPECT_EQ(read(png, {"resize(height=30, width=20, interpolation=bicubic)"}).pixels,
            resize(photo, {30, 20}, Filter::bicubic).pixels);
}

TEST(Framing, PadsAMiddleThatIsLargerThanTheImage) {
  const Image middle = read(png, {"center_crop(size=108)"});
  EXPECT_EQ(cut(middle, 16, 0, 75, 107).pixels, photo.pixels);
  const auto sum = [](const Image& image) {
    int total = 0;
    for (const std::byte value : image.pixels) total += std::to_integer<int>(value);
    return total;
  };
  EXPECT_EQ(sum(middle), sum(photo));
}

TEST(Framing, CropsAfterCropsSeeOnlyWhatTheFirstLeft) {
  const Image padded = read(png, {"center_crop(size=20)", "center_crop(size=30)"});
  EXPECT_EQ(cut(padded, 5, 5, 20, 20).pixels, read(png, {"center_crop(size=20)"}).pixels);
  EXPECT_EQ(std::to_integer<int>(padded.pixels[0]), 0);
}

TEST(Framing, ScalesWhatACropLeft) {
  EXPECT_EQ(read(png, {"center_crop(size=40)", "resize(height=17, width=23)"}).pixels,
            resize(read(png, {"center_crop(size=40)"}), {17, 23}).pixels);
  EXPECT_EQ(read(png, {"resize(size=50)", "resize(height=17, width=23)"}).pixels,
            resize(read(png, {"resize(size=50)"}), {17, 23}).pixels);
  EXPECT_EQ(read(png, {"center_crop(size=120)", "resize(height=17, width=23)"}).pixels,
            resize(read(png, {"center_crop(size=120)"}), {17, 23}).pixels);
}

TEST(Framing, OfAFileGivesThePixelsOfTheDecodedImage) {
  for (const auto& [across, down, orientation] :
       {std::tuple{1, 1, 1}, {2, 1, 1}, {2, 2, 1}, {1, 1, 3}, {2, 1, 6}, {2, 2, 7}, {2, 2, 8}}) {
    const std::string file = with_exif(jpeg_file(photo, 90, false, across, down), exif_of(orientation));
    const Images images({file});
    const Image decoded = decode_image(std::as_bytes(std::span(file)), 3, "x");
    for (const std::vector<std::string>& specs :
         {std::vector<std::string>{"random_resized_crop(size=33)"},
          {"random_resized_crop(size=64, interpolation=bicubic)", "random_horizontal_flip"},
          {"resize(size=40)", "center_crop(size=32)"},
          {"random_crop(size=64, padding=8)", "color_jitter"},
          {"random_horizontal_flip(p=1)", "resize(size=40)"}}) {
      const TransformPipeline pipeline(specs, images.fields());
      for (std::uint64_t epoch = 0; epoch < 20; ++epoch) {
        std::vector<std::byte> pixels(pipeline.fields(images)[0].bytes());
        read_field(pipeline, images, 0, 7, epoch, pixels);
        ASSERT_EQ(pixels, pipeline.apply(decoded, 7, epoch, 0).pixels) << specs.front() << ", epoch " << epoch;
        ASSERT_EQ(pixels, pipeline.read_any_size(images, 0, 7, epoch)[0].bytes) << specs.front() << ", epoch " << epoch;
      }
    }
  }
}

TEST(Framing, ScaledDecodingIsCloseToExact) {
  // Sides that are multiples of a block, and sides that are not, which a flip would shift.
  for (const ImageSize size : {ImageSize{600, 800}, {597, 803}}) {
    const std::string file = jpeg_file(resize(ramp(8, 8, 3), size, Filter::bicubic), 95, false, 2, 2);
    for (const int orientation : {1, 2, 3, 6, 7}) {
      const Images images({with_exif(file, exif_of(orientation))});
      for (const char* spec :
           {"resize(size=75)", "resize(size=100)", "resize(height=123, width=77)", "resize(size=299)"}) {
        const Image exact = read(images, {spec});
        const Image scaled = read(images, {spec}, 0, DecodeMode::scaled);
        ASSERT_EQ(exact.pixels.size(), scaled.pixels.size());
        double difference = 0;
        for (std::size_t i = 0; i < exact.pixels.size(); ++i) {
          difference += std::abs(std::to_integer<int>(exact.pixels[i]) - std::to_integer<int>(scaled.pixels[i]));
        }
        EXPECT_LT(difference / static_cast<double>(exact.pixels.size()), 2.5) << spec << ", turned " << orientation;
      }
    }
  }
}

TEST(Framing, RefusesImagesOfAnotherSizeAndNamesBoth) {
  const Images images({png_file(ramp(20, 30, 3)), png_file(ramp(21, 30, 3))});
  EXPECT_EQ(read(images, {}).pixels, ramp(20, 30, 3).pixels);
  for (const std::vector<std::string>& specs : {std::vector<std::string>{}, {"random_horizontal_flip"}}) {
    EXPECT_THAT(error_of<RunError>([&] { read(images, specs, 1); }),
                AllOf(HasSubstr("image 1"), HasSubstr("30 x 21"), HasSubstr("30 x 20"),
                      HasSubstr("random_resized_crop(size=224)")));
  }
  EXPECT_EQ(read(images, {"center_crop(size=16)"}, 1).height, 16u);
}

TEST(Framing, RandomResizedCropCoversAreasAndShapesAsAsked) {
  const auto arguments = [] { return parse_transform("random_resized_crop(size=8, scale_min=0.2, scale_max=0.5)"); };
  TransformArguments given = arguments();
  const auto transform = TransformRegistry::make("random_resized_crop", given);
  double smallest = 1;
  double largest = 0;
  double flattest = 1;
  double tallest = 1;
  for (std::uint64_t i = 0; i < 3'000; ++i) {
    const Rect region = transform->frame({400, 600}, RandomStream(i))->region;
    ASSERT_TRUE(region.lies_in({400, 600}));
    const double area = static_cast<double>(region.height * region.width) / (400.0 * 600.0);
    const double ratio = static_cast<double>(region.width) / static_cast<double>(region.height);
    smallest = std::min(smallest, area);
    largest = std::max(largest, area);
    flattest = std::max(flattest, ratio);
    tallest = std::min(tallest, ratio);
  }
  EXPECT_NEAR(smallest, 0.2, 0.01);
  EXPECT_NEAR(largest, 0.5, 0.01);
  EXPECT_NEAR(flattest, 4.0 / 3, 0.02);
  EXPECT_NEAR(tallest, 3.0 / 4, 0.02);
}

TEST(Framing, RandomResizedCropTakesTheMiddleWhereNoShapeFits) {
  TransformArguments given = parse_transform("random_resized_crop(scale_min=1)");
  const auto transform = TransformRegistry::make("random_resized_crop", given);
  EXPECT_EQ(transform->frame({10, 100}, RandomStream(1))->region, (Rect{0, 43, 10, 13}));
  EXPECT_EQ(transform->frame({100, 10}, RandomStream(1))->region, (Rect{43, 0, 13, 10}));
}

}  // namespace
}  // namespace trainyard
