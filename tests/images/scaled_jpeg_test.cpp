#include "images/scaled_jpeg.h"

#include <cmath>
#include <cstring>
#include <map>
#include <numbers>
#include <tuple>

#include <gmock/gmock.h>

#include "images/decode_image.h"
#include "images/resample.h"
#include "support/error_of.h"
#include "support/image_files.h"
#include "util/error.h"
#include "util/random.h"

namespace trainyard {
namespace {

using testing::HasSubstr;

// libjpeg's decompression object with the header of a well-formed file.
class Header {
 public:
  explicit Header(const std::string& file) {
    jpeg.err = jpeg_std_error(&errors_);
    jpeg_create_decompress(&jpeg);
    jpeg_mem_src(&jpeg, reinterpret_cast<const unsigned char*>(file.data()), file.size());
    jpeg_read_header(&jpeg, TRUE);
  }
  Header(const Header&) = delete;
  Header& operator=(const Header&) = delete;
  ~Header() { jpeg_destroy_decompress(&jpeg); }

  ImageSize size(std::size_t shrink) const {
    return {(jpeg.image_height + shrink - 1) / shrink, (jpeg.image_width + shrink - 1) / shrink};
  }

  jpeg_decompress_struct jpeg{};

 private:
  jpeg_error_mgr errors_{};
};

// Returns the whole image, or nullopt if read_scaled() leaves it to libjpeg.
std::optional<Image> scaled(const std::string& file, std::size_t channels, std::size_t shrink) {
  const Header header(file);
  const auto [height, width] = header.size(shrink);
  Image image{height, width, channels, std::vector<std::byte>(height * width * channels)};
  if (!read_scaled(header.jpeg, Rect::whole({height, width}), channels, shrink, image.pixels.data())) return {};
  return image;
}

double mean_of_cosine(std::size_t frequency, std::size_t first, std::size_t count) {
  double sum = 0;
  for (std::size_t x = first; x < first + count; ++x) {
    sum += std::cos(static_cast<double>((2 * x + 1) * frequency) * std::numbers::pi / 16);
  }
  return sum / static_cast<double>(count) * (frequency == 0 ? 1 / std::numbers::sqrt2 : 1);
}

// Computes the planes from libjpeg's coefficients by definition, in float64: means of the inverse DCT (T.81, A.3.3),
// without the frequencies at or above the number of means per side of a block.
std::vector<std::vector<double>> planes_by_definition(Header& header, std::size_t shrink) {
  jvirt_barray_ptr* const coefficients = jpeg_read_coefficients(&header.jpeg);
  const auto [height, width] = header.size(shrink);
  std::vector<std::vector<double>> planes;
  for (int c = 0; c < header.jpeg.num_components; ++c) {
    const jpeg_component_info& info = header.jpeg.comp_info[c];
    const bool single = header.jpeg.num_components == 1;
    // The number of neighbouring pixels whose mean is one pixel of the result.
    const std::size_t across =
        shrink * (single ? 1 : info.h_samp_factor) / (single ? 1 : header.jpeg.max_h_samp_factor);
    const std::size_t down = shrink * (single ? 1 : info.v_samp_factor) / (single ? 1 : header.jpeg.max_v_samp_factor);
    std::vector<double> plane;
    for (std::size_t y = 0; y < height; ++y) {
      JBLOCKARRAY rows =
          header.jpeg.mem->access_virt_barray(reinterpret_cast<j_common_ptr>(&header.jpeg), coefficients[c],
                                              static_cast<JDIMENSION>(y * down / 8), 1, FALSE);
      for (std::size_t x = 0; x < width; ++x) {
        const JBLOCK& block = rows[0][x * across / 8];
        double value = 0;
        for (std::size_t v = 0; v < 8 / down; ++v) {
          for (std::size_t u = 0; u < 8 / across; ++u) {
            value += block[8 * v + u] * info.quant_table->quantval[8 * v + u] * mean_of_cosine(v, y * down % 8, down) *
                     mean_of_cosine(u, x * across % 8, across) / 4;
          }
        }
        plane.push_back(value);
      }
    }
    planes.push_back(std::move(plane));
  }
  return planes;
}

void expect_definition(const std::string& file, std::size_t shrink, const std::string& what) {
  const std::optional<Image> image = scaled(file, 3, shrink);
  const std::optional<Image> grey = scaled(file, 1, shrink);
  ASSERT_TRUE(image && grey) << what;
  Header header(file);
  const auto planes = planes_by_definition(header, shrink);
  double largest = 0;
  for (std::size_t i = 0; i < planes[0].size(); ++i) {
    const double y = planes[0][i] + 128;
    const double cb = planes.size() == 3 ? planes[1][i] : 0;
    const double cr = planes.size() == 3 ? planes[2][i] : 0;
    const auto off = [&](std::byte pixel, double value) {
      largest = std::max(largest, std::abs(std::to_integer<int>(pixel) - std::clamp(value, 0.0, 255.0)));
    };
    off(grey->pixels[i], y);
    off(image->pixels[3 * i], y + 1.402 * cr);
    off(image->pixels[3 * i + 1], y - 0.344136 * cb - 0.714136 * cr);
    off(image->pixels[3 * i + 2], y + 1.772 * cb);
  }
  EXPECT_LT(largest, 0.51) << what;
}

TEST(ScaledJpeg, IsTheMeansOfTheLowFrequencies) {
  for (const std::size_t shrink : {2, 4, 8}) {
    for (const auto& [across, down] : {std::pair{1, 1}, {2, 1}, {1, 2}, {2, 2}, {4, 1}, {4, 2}}) {
      if (static_cast<std::size_t>(across) > shrink) continue;
      for (const int quality : {10, 75, 100}) {
        for (const auto& [height, width] : {std::pair<std::size_t, std::size_t>{75, 107}, {1, 1}, {64, 64}}) {
          expect_definition(
              jpeg_file(noisy_ramp(height, width, 3), quality, false, across, down), shrink,
              fmt::format("{} x {}, {}:{}, quality {}, 1/{}", width, height, across, down, quality, shrink));
        }
      }
    }
    expect_definition(jpeg_file(noisy_ramp(75, 107, 1), 90), shrink, fmt::format("grey, 1/{}", shrink));
  }
}

TEST(ScaledJpeg, IsTheSameWithRestartMarkers) {
  const Image image = noisy_ramp(130, 107, 3);
  for (const std::size_t shrink : {2, 4, 8}) {
    const auto plain = scaled(jpeg_file(image, 90, false, 2, 2), 3, shrink);
    ASSERT_TRUE(plain);
    for (const unsigned restart : {1, 3, 7, 20, 63, 1000}) {
      const auto marked = scaled(jpeg_file(image, 90, false, 2, 2, restart), 3, shrink);
      ASSERT_TRUE(marked) << restart;
      EXPECT_EQ(marked->pixels, plain->pixels) << restart;
    }
  }
}

TEST(ScaledJpeg, IsCloseToLibjpegsMeans) {
  const std::string file = jpeg_file(resize(noisy_ramp(40, 53, 3), {300, 400}, Filter::bicubic), 90, false, 2, 2);
  for (const std::size_t shrink : {2, 4, 8}) {
    const auto ours = scaled(file, 3, shrink);
    ASSERT_TRUE(ours);
    Header header(file);
    header.jpeg.scale_denom = static_cast<unsigned>(shrink);
    jpeg_start_decompress(&header.jpeg);
    double difference = 0;
    std::vector<unsigned char> row(ours->width * 3);
    for (std::size_t y = 0; y < ours->height; ++y) {
      unsigned char* pixels = row.data();
      jpeg_read_scanlines(&header.jpeg, &pixels, 1);
      for (std::size_t i = 0; i < row.size(); ++i) {
        difference += std::abs(row[i] - std::to_integer<int>(ours->pixels[y * row.size() + i]));
      }
    }
    EXPECT_LT(difference / static_cast<double>(ours->pixels.size()), 2) << shrink;
  }
}

TEST(ScaledJpeg, LeavesToLibjpegWhatIsNotBaseline) {
  EXPECT_FALSE(scaled(jpeg_file(noisy_ramp(40, 40, 3), 90, true), 3, 2)) << "progressive";
  EXPECT_FALSE(scaled(jpeg_file(noisy_ramp(40, 40, 4), 90), 3, 2)) << "CMYK";
  EXPECT_FALSE(scaled(jpeg_file(noisy_ramp(40, 40, 3), 90, false, 4, 1), 3, 2))
      << "blocks of colour that are to be 16 wide";
  EXPECT_TRUE(scaled(jpeg_file(noisy_ramp(40, 40, 3), 90, false, 4, 1), 3, 4));
}

std::string error_of_reading(const std::string& file, std::size_t shrink, std::size_t rows) {
  const auto reader = ImageReader::open(std::as_bytes(std::span(file)), "the/path");
  const ImageSize size = reader->size(shrink);
  std::vector<std::byte> pixels(size.height * size.width * 3);
  return error_of<RunError>(
      [&] { reader->read({0, 0, std::min(rows, size.height), size.width}, 3, shrink, pixels.data()); });
}

TEST(ScaledJpeg, NamesDamageAsFarAsItIsRead) {
  for (const unsigned restart : {0, 5}) {
    const std::string whole = jpeg_file(noisy_ramp(128, 128, 3), 90, false, 2, 2, restart);
    const std::string half = whole.substr(0, whole.size() / 2);
    for (const std::size_t shrink : {2, 4, 8}) {
      EXPECT_THAT(error_of_reading(half, shrink, 1000), HasSubstr("the/path: truncated JPEG"));
      EXPECT_THAT(error_of_reading(whole.substr(0, whole.size() - 40), shrink, 1000), HasSubstr("truncated JPEG"));
      std::vector<std::byte> pixels(std::size_t{2} * 16 * 3);
      EXPECT_NO_THROW(
          ImageReader::open(std::as_bytes(std::span(half)), "x")->read({0, 0, 2, 16}, 3, shrink, pixels.data()));
    }
  }
}

TEST(ScaledJpeg, SurvivesAnyDamage) {
  RandomStream random(6);
  for (const std::string& whole :
       {jpeg_file(noisy_ramp(50, 67, 3), 90, false, 2, 2), jpeg_file(noisy_ramp(50, 67, 3), 70, false, 2, 1, 4),
        jpeg_file(noisy_ramp(50, 67, 1), 100)}) {
    for (int i = 0; i < 1500; ++i) {
      std::string bytes = random.below(4) != 0 ? whole : whole.substr(0, 1 + random.below(whole.size()));
      for (auto changes = random.below(6); changes > 0; --changes) {
        bytes[random.below(bytes.size())] = static_cast<char>(random.next());
      }
      try {
        const auto reader = ImageReader::open(std::as_bytes(std::span(bytes)), "x");
        const std::size_t shrink = std::size_t{2} << random.below(3);
        const ImageSize size = reader->size(shrink);
        if (size.height * size.width > 100'000) continue;
        const std::size_t channels = random.below(2) == 0 ? 1 : 3;
        std::vector<std::byte> pixels(size.height * size.width * channels);
        reader->read(Rect::whole(size), channels, shrink, pixels.data());
      } catch (const RunError&) {
        continue;
      }
    }
  }
}

}  // namespace
}  // namespace trainyard
