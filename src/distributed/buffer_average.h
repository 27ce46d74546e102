/// Keeps a model's buffers, e.g. the running statistics of batch norm, equal on all ranks after each step.
#pragma once

#include <vector>

#include "distributed/process_group.h"
#include "distributed/side_stream.h"
#include "util/torch.h"

namespace trainyard {

/// Each rank computes its statistics from its share of a batch. Floating-point buffers become the mean over the ranks
/// that had samples; integer buffers, e.g. the number of batches, become those of rank 0. Can be captured in a CUDA
/// graph. Used from one thread; `group` and `side` must outlive it.
class BufferAverage {
 public:
  BufferAverage(ProcessGroup& group, SideStream& side, const std::vector<at::Tensor>& buffers);

  /// Call it after the forward pass, or instead of it on a rank without samples. `ranks_with_samples` is the same on
  /// all ranks and at least 1; rank 0 is one of them.
  void begin(bool has_samples, int ranks_with_samples);
  /// Call it after SideStream::join() and ProcessGroup::finish(). Afterwards the buffers are the averages.
  void finish();

 private:
  // Buffers of one type, concatenated.
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
