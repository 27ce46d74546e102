#include "training/memory.h"

#include <atomic>

#include <malloc.h>

#include <c10/core/Allocator.h>
#include <c10/core/CachingDeviceAllocator.h>

namespace trainyard {

// Allocators report to the object registered as PyTorch's profiler state.
class MemoryCount::Counter : public c10::MemoryReportingInfoBase {
 public:
  explicit Counter(at::Device device) : device_(device) {}

  void reportMemoryUsage(void*, std::int64_t bytes, std::size_t, std::size_t, c10::Device device) override {
    if (device.type() != device_.type()) return;
    const std::int64_t now = now_ += bytes;
    for (std::int64_t peak = peak_; now > peak && !peak_.compare_exchange_weak(peak, now);) {
    }
  }
  bool memoryProfilingEnabled() const override { return true; }

  std::atomic<std::int64_t> now_ = 0;
  std::atomic<std::int64_t> peak_ = 0;

 private:
  at::Device device_;
};

MemoryCount::MemoryCount(at::Device device)
    : counter_(std::make_shared<Counter>(device)), guard_(c10::DebugInfoKind::PROFILER_STATE, counter_) {}

MemoryCount::~MemoryCount() = default;

std::int64_t MemoryCount::now() const { return counter_->now_; }

std::int64_t MemoryCount::peak() const { return counter_->peak_; }

std::uint64_t peak_gpu_memory(at::Device device) {
  if (device.is_cpu()) return 0;
  const auto stats = at::getDeviceAllocator(device.type())->getDeviceStats(device.index());
  return static_cast<std::uint64_t>(stats.allocated_bytes[0].peak);  // [0]: small and large blocks together
}

void keep_freed_memory() {
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, -1);  // never
}

}  // namespace trainyard
