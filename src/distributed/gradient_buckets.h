/// Gradients in flat storage: where those of several backward passes are added up, and those of all ranks.
#pragma once

#include <string>
#include <vector>

#include "distributed/process_group.h"
#include "distributed/side_stream.h"
#include "util/named_tensors.h"
#include "util/torch.h"

namespace trainyard {

/// Parameters share buckets, the last ones of the model first: in that order a backward pass reaches them. The pass
/// that completes a step sums a bucket over the ranks as soon as its gradients are there, while backward goes on; all
/// ranks sum the same buckets in the same order, whichever gradients they have. Can be captured in a CUDA graph after
/// the first step. Used from one thread; `group` and `side` must outlive it.
class GradientBuckets {
 public:
  /// `parameters` are leaves that require gradients, on one device.
  GradientBuckets(ProcessGroup& group, SideStream& side, NamedTensors parameters);
  ~GradientBuckets();
  GradientBuckets(const GradientBuckets&) = delete;
  GradientBuckets& operator=(const GradientBuckets&) = delete;

  /// What a backward pass is to its step.
  struct Pass {
    bool first = true;
    bool last = true;
    at::Tensor kept{};  ///< unless first: the gradients so far are multiplied by it
  };

  /// REQUIRES that no parameter has a gradient.
  void begin(Pass pass);
  /// After the backward pass, or in its stead. After the last one the parameters have the gradients of the step, which
  /// share the buckets' memory; those that had none on any rank have none. Throws RunError with the parameter's name if
  /// one has a gradient now that had none on any rank in the first step.
  void finish();

 private:
  struct Bucket {
    std::vector<std::size_t> parameters;
    at::Tensor flat;
    std::vector<at::Tensor> views;  // one per parameter, in its layout
    std::size_t missing = 0;        // gradients of the pass that are still to come
  };
  class Hook;

  void arrived(std::size_t parameter);
  void sum_those_complete();
  void add(Bucket& bucket);
  void agree_on_used();
  void require_known_gradients() const;

  ProcessGroup& group_;
  SideStream& side_;
  NamedTensors parameters_;
  std::vector<Bucket> buckets_;
  std::vector<std::size_t> bucket_of_;  // each parameter
  std::vector<bool> used_;              // parameters that have a gradient in this step; once agreed, in all
  bool agreed_ = false;                 // used_ is the same on all ranks
  // Of the pass under way:
  Pass pass_;
  bool overlaps_ = false;
  std::size_t summed_ = 0;  // buckets
};

}  // namespace trainyard
