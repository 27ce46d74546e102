/// Sums gradients over several backward passes and over all ranks, in flat storage.
#pragma once

#include <string>
#include <vector>

#include "distributed/process_group.h"
#include "distributed/side_stream.h"
#include "util/named_tensors.h"
#include "util/torch.h"

namespace trainyard {

/// Parameters are assigned to buckets from the model's last parameter to its first, the order in which a backward pass
/// reaches them. The last pass of a step sums a bucket over the ranks as soon as its gradients are ready, while
/// backward continues. All ranks sum the same buckets in the same order, regardless of which gradients they have. Can
/// be captured in a CUDA graph after the first step. Used from one thread; `group` and `side` must outlive it.
class GradientBuckets {
 public:
  /// `parameters` are leaves that require gradients, on one device.
  GradientBuckets(ProcessGroup& group, SideStream& side, NamedTensors parameters);
  ~GradientBuckets();
  GradientBuckets(const GradientBuckets&) = delete;
  GradientBuckets& operator=(const GradientBuckets&) = delete;

  /// The position of a backward pass in its step.
  struct Pass {
    bool first = true;
    bool last = true;
    at::Tensor kept{};  ///< unless first: the factor by which the gradients so far are multiplied
  };

  /// REQUIRES that no parameter has a gradient.
  void begin(Pass pass);
  /// Call it after the backward pass, or instead of one. After the last pass the parameters have the gradients of the
  /// step, which share the buckets' memory; a parameter without a gradient on any rank has none. Throws RunError that
  /// names a parameter if it has a gradient now but had none on any rank in the first step.
  void finish();

  std::size_t size() const { return buckets_.size(); }
  /// Sums all buckets from `first` on over the ranks, as a step does, and adds nothing to them. Called by all ranks,
  /// between steps.
  void sum_from(std::size_t first);

 private:
  struct Bucket {
    std::vector<std::size_t> parameters;
    at::Tensor flat;
    std::vector<at::Tensor> views;  // one per parameter, in its layout
    std::size_t missing = 0;        // gradients of the pass that are not yet ready
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
  std::vector<std::size_t> bucket_of_;  // per parameter
  std::vector<bool> used_;              // parameters with a gradient in this step; once agreed, in every step
  bool agreed_ = false;                 // used_ is the same on all ranks
  // State of the current pass:
  Pass pass_;
  bool overlaps_ = false;
  std::size_t summed_ = 0;  // buckets summed so far
};

}  // namespace trainyard
