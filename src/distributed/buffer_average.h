/// Buffers of a model, as running statistics of batch norm, that are equal on all ranks after each step.
#pragma once

#include <vector>

#include "distributed/process_group.h"
#include "distributed/side_stream.h"
#include "util/torch.h"

namespace trainyard {

/// Each rank's statistics are those of its share of a batch. Floating-point buffers become the mean over the ranks that
/// had samples; integers, as the number of batches, those of rank 0. Can be captured in a CUDA graph. Used from
/// one thread; `group` and `side` must outlive it.
class BufferAverage {
 public:
  BufferAverage(ProcessGroup& group, SideStream& side, const std::vector<at::Tensor>& buffers);

  /// After a forward pass, or in its stead on a rank without samples. `ranks_with_samples` is the same on all ranks, at
  /// least 1; rank 0 is one of them.
  void begin(bool has_samples, int ranks_with_samples);
  /// After SideStream::join() and ProcessGroup::finish(): the buffers are the averages.
  void finish();

 private:
  // Buffers of one type, one behind the other.
  struct Pack {
    std::vector<at::Tensor> buffers;
    at::Tensor flat;
    std::vector<at::Tensor> views;
    bool differs = false;  // between the ranks, after this forward pass
  };

  ProcessGroup& group_;
  SideStream& side_;
  std::vector<Pack> packs_;
};

}  // namespace trainyard
