#include "models/memory_bound.h"

#include <limits>

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>

#include "util/error.h"

namespace trainyard {
namespace {

constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();
constexpr std::uint8_t above_default = 1;  // LibTorch keeps the allocator with the highest priority

struct Budget {
  std::string origin;
  std::size_t bytes = unlimited;
  std::size_t left = unlimited;
};
thread_local Budget budget;

/// Counts allocations and forwards them to LibTorch's allocator.
class BoundedAllocator final : public c10::Allocator {
 public:
  explicit BoundedAllocator(c10::Allocator& all) : all_(all) {}

  c10::DataPtr allocate(std::size_t bytes) override {
    if (bytes > budget.left) {
      throw RunError("model", "{} asks for a model that takes more than {} bytes, a tensor of {} bytes among them",
                     budget.origin, budget.bytes, bytes);
    }
    if (budget.left != unlimited) budget.left -= bytes;
    return all_.allocate(bytes);
  }
  c10::DeleterFnPtr raw_deleter() const override { return all_.raw_deleter(); }
  void copy_data(void* to, const void* from, std::size_t bytes) const override { all_.copy_data(to, from, bytes); }

 private:
  c10::Allocator& all_;
};

}  // namespace

MemoryBound::MemoryBound(std::size_t bytes, std::string origin) {
  static BoundedAllocator allocator(*c10::GetCPUAllocator());
  c10::SetCPUAllocator(&allocator, above_default);
  budget = {std::move(origin), bytes, bytes};
}

MemoryBound::~MemoryBound() { budget = {}; }

}  // namespace trainyard
