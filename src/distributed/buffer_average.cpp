#include "distributed/buffer_average.h"

#include <algorithm>

#include <ATen/ops/_foreach_copy.h>

namespace trainyard {

BufferAverage::BufferAverage(ProcessGroup& group, SideStream& side, const std::vector<at::Tensor>& buffers)
    : group_(group), side_(side) {
  if (group_.alone()) return;
  for (const at::Tensor& buffer : buffers) {
    auto pack = std::find_if(packs_.begin(), packs_.end(),
                             [&](const Pack& other) { return other.buffers.front().dtype() == buffer.dtype(); });
    if (pack == packs_.end()) pack = packs_.insert(pack, Pack());
    pack->buffers.push_back(buffer);
  }
  for (Pack& pack : packs_) {
    std::int64_t elements = 0;
    for (const at::Tensor& buffer : pack.buffers) elements += buffer.numel();
    pack.flat = at::zeros({elements}, pack.buffers.front().options());
    std::int64_t begin = 0;
    for (const at::Tensor& buffer : pack.buffers) {
      pack.views.push_back(pack.flat.narrow(0, begin, buffer.numel()).view(buffer.sizes()));
      begin += buffer.numel();
    }
  }
}

void BufferAverage::begin(bool has_samples, int ranks_with_samples) {
  const at::NoGradGuard no_grad;
  side_.run([&] {
    for (Pack& pack : packs_) {
      // Integers are equal if all ranks have counted this batch; otherwise those of rank 0 are used.
      const bool mean = pack.flat.is_floating_point();
      pack.differs = mean || ranks_with_samples < group_.rank().world_size;
      if (!pack.differs) continue;
      at::_foreach_copy_(pack.views, pack.buffers);
      const at::Scalar factor = mean ? at::Scalar(has_samples ? 1.0 / ranks_with_samples : 0.0)
                                     : at::Scalar(group_.rank().is_first() ? 1 : 0);
      pack.flat.mul_(factor);
      group_.begin_all_reduce(pack.flat);
    }
  });
}

void BufferAverage::finish() {
  const at::NoGradGuard no_grad;
  for (Pack& pack : packs_) {
    if (pack.differs) at::_foreach_copy_(pack.buffers, pack.views);
  }
}

}  // namespace trainyard
