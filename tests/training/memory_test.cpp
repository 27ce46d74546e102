#include "training/memory.h"

#include <cstdint>

#include <gtest/gtest.h>
#include <unistd.h>

namespace trainyard {
namespace {

TEST(MemoryCount, CountsWhatTensorsHoldAndHeldAtMost) {
  const MemoryCount memory(at::kCPU);
  constexpr std::int64_t mib = 1 << 20;
  const at::Tensor kept = at::empty({mib}, at::kByte);
  {
    const at::Tensor gone = at::empty({3 * mib}, at::kByte);
  }
  EXPECT_GE(memory.now(), mib);
  EXPECT_LT(memory.now(), 2 * mib);
  EXPECT_GE(memory.peak(), 4 * mib);
  EXPECT_LT(memory.peak(), 5 * mib);
}

// In a child: the choice is for good.
TEST(KeepFreedMemory, TheHeapGrowsByALargeTensorAndStaysAsItIsWhenItIsFreed) {
  EXPECT_EXIT(
      {
        keep_freed_memory();
        const auto end_of_heap = [] { return reinterpret_cast<std::uintptr_t>(sbrk(0)); };
        constexpr std::int64_t bytes = 64 << 20;
        const std::uintptr_t before = end_of_heap();
        at::Tensor block = at::empty({bytes}, at::kByte);
        const std::uintptr_t taken = end_of_heap();
        block.reset();
        _exit(taken - before >= std::uintptr_t{bytes} && end_of_heap() == taken ? 0 : 1);
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
