#include "training/memory.h"

#include <cstdint>

#include <gtest/gtest.h>
#include <malloc.h>
#include <unistd.h>

#include <ATen/Context.h>

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

// In a child process, because the setting cannot be undone. Without it, a large block would be mapped separately and
// unmapped when freed, and the heap would be trimmed.
TEST(KeepFreedMemory, AllocatesLargeTensorsOnTheHeapAndDoesNotTrimIt) {
  EXPECT_EXIT(
      {
        keep_freed_memory();
        const auto mapped_by_itself = mallinfo2().hblks;
        at::Tensor block = at::empty({64 << 20}, at::kByte);
        const bool in_heap = mallinfo2().hblks == mapped_by_itself;
        void* const end_of_heap = sbrk(0);
        block.reset();
        _exit(in_heap && sbrk(0) == end_of_heap ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace trainyard
