#include "training/memory.h"

#include <memory>

#include <gtest/gtest.h>
#include <unistd.h>

namespace trainyard {
namespace {

TEST(MemoryCount, CountsWhatTensorsHoldAndHeldAtMost) {
  const MemoryCount memory(at::kCPU);
  constexpr std::int64_t kMiB = 1 << 20;
  const at::Tensor kept = at::empty({kMiB}, at::kByte);
  {
    const at::Tensor gone = at::empty({3 * kMiB}, at::kByte);
  }
  EXPECT_GE(memory.now(), kMiB);
  EXPECT_LT(memory.now(), 2 * kMiB);
  EXPECT_GE(memory.peak(), 4 * kMiB);
  EXPECT_LT(memory.peak(), 5 * kMiB);
}

// In a child: the choice is for good.
TEST(KeepFreedMemory, ALargeBlockLiesInTheHeapWhichDoesNotShrinkWhenItIsFreed) {
  EXPECT_EXIT(
      {
        keep_freed_memory();
        auto block = std::make_unique_for_overwrite<char[]>(std::size_t{64} << 20);
        const void* const end = sbrk(0);
        const bool in_heap = block.get() < end;
        block.reset();
        _exit(in_heap && sbrk(0) == end ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
}

TEST(PeakGpuMemory, IsNothingOnTheCpu) { EXPECT_EQ(peak_gpu_memory(at::kCPU), 0u); }

TEST(PeakGpuMemory, CountsTensorsOfTheGpu) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no GPU here";
  const at::Tensor tensor = at::empty({1 << 24}, at::TensorOptions(at::Device(at::kCUDA, 0)).dtype(at::kByte));
  EXPECT_GE(peak_gpu_memory(at::Device(at::kCUDA, 0)), 1u << 24);
}

}  // namespace
}  // namespace trainyard
