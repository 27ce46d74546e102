#include "images/resample_kernels.h"

#include <vector>

#include <gtest/gtest.h>

#include "util/random.h"

namespace trainyard {
namespace {

struct Extent {
  std::size_t from;
  std::size_t to;
};

// Extents around the number of inputs and of bytes in a vector, and large and small scales.
constexpr Extent extents[] = {{1, 1},   {1, 9},   {2, 1},   {3, 2},    {7, 5},
                              {10, 11}, {11, 32}, {64, 22}, {500, 33}, {33, 65}};

std::vector<std::byte> noise(std::size_t size) {
  RandomStream random(size);
  std::vector<std::byte> bytes(size);
  // Half of them are extreme, so that a bicubic filter overshoots on both sides.
  for (std::byte& byte : bytes) {
    const std::uint64_t value = random.below(512);
    byte = static_cast<std::byte>(value < 256 ? value : value % 2 * 255);
  }
  return bytes;
}

TEST(ResampleKernels, OfThisProcessorGiveThePortableBytesAlongRows) {
  for (const Extent& extent : extents) {
    for (const Filter filter : {Filter::bilinear, Filter::bicubic}) {
      const ResampleAxis axis(0, static_cast<double>(extent.from), extent.to, 0, extent.to, filter);
      const std::size_t bytes = 3 * axis.source_count() + ResampleKernels::row_margin;
      const std::vector<std::byte> source = noise(2 * bytes);
      const std::byte* const rows[2] = {source.data(), source.data() + bytes};
      std::vector<std::byte> expected(std::size_t{6} * extent.to);
      std::vector<std::byte> actual(expected.size());
      std::byte* const wanted[2] = {expected.data(), expected.data() + 3 * extent.to};
      std::byte* const got[2] = {actual.data(), actual.data() + 3 * extent.to};
      portable_resample_kernels().rgb_rows(rows, axis, wanted);
      best_resample_kernels().rgb_rows(rows, axis, got);
      EXPECT_EQ(actual, expected) << extent.from << " to " << extent.to;
    }
  }
}

TEST(ResampleKernels, OfThisProcessorGiveThePortableBytesAlongColumns) {
  for (const Extent& extent : extents) {
    for (const Filter filter : {Filter::bilinear, Filter::bicubic}) {
      for (const std::size_t bytes : {1U, 31U, 32U, 33U, 64U, 100U}) {
        const ResampleAxis axis(0, static_cast<double>(extent.from), extent.to, 0, extent.to, filter);
        const std::vector<std::byte> source = noise(bytes * axis.source_count());
        std::vector<std::byte> expected(bytes);
        std::vector<std::byte> actual(bytes);
        for (const ResampleAxis::Window& window : axis.windows()) {
          const std::byte* const first = source.data() + window.first * bytes;
          portable_resample_kernels().column(first, bytes, axis, window, bytes, expected.data());
          best_resample_kernels().column(first, bytes, axis, window, bytes, actual.data());
          ASSERT_EQ(actual, expected) << extent.from << " to " << extent.to << ", " << bytes << " bytes";
        }
      }
    }
  }
}

}  // namespace
}  // namespace trainyard
