#include "distributed/gradient_buckets.h"

#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_copy.h>
#include <ATen/ops/_foreach_zero.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include "util/error.h"

namespace trainyard {
namespace {

// Like DistributedDataParallel: a small first bucket lets the sums start early; larger ones use the full bandwidth.
constexpr std::size_t first_bucket_bytes = std::size_t{1} << 20;
constexpr std::size_t bucket_bytes = std::size_t{25} << 20;

// Returns `gradient` with the strides of `view` if they differ only in dimensions of size 1: _foreach functions use
// their fast path only for equal strides.
at::Tensor with_strides_of(const at::Tensor& view, const at::Tensor& gradient) {
  if (gradient.strides() == view.strides()) return gradient;
  for (std::int64_t i = 0; i < view.dim(); ++i) {
    if (view.size(i) > 1 && view.stride(i) != gradient.stride(i)) return gradient;
  }
  return gradient.as_strided(view.sizes(), view.strides(), gradient.storage_offset());
}

}  // namespace

// Reports that a parameter's gradient is ready.
class GradientBuckets::Hook : public torch::autograd::PostAccumulateGradHook {
 public:
  Hook(GradientBuckets& buckets, std::size_t parameter) : buckets_(buckets), parameter_(parameter) {}
  void operator()(const torch::autograd::Variable&) override { buckets_.arrived(parameter_); }

 private:
  GradientBuckets& buckets_;
  std::size_t parameter_;
};

GradientBuckets::GradientBuckets(ProcessGroup& group, SideStream& side, NamedTensors parameters)
    : group_(group),
      side_(side),
      parameters_(std::move(parameters)),
      bucket_of_(parameters_.size()),
      used_(parameters_.size(), false) {
  std::size_t bytes = 0;
  for (std::size_t i = parameters_.size(); i-- > 0;) {
    const at::Tensor& parameter = parameters_[i].second;
    const std::size_t most = buckets_.size() <= 1 ? first_bucket_bytes : bucket_bytes;
    const bool fits = !buckets_.empty() && bytes + parameter.nbytes() <= most &&
                      parameters_[buckets_.back().parameters.front()].second.dtype() == parameter.dtype();
    if (!fits) {
      buckets_.emplace_back();
      bytes = 0;
    }
    bytes += parameter.nbytes();
    buckets_.back().parameters.push_back(i);
    bucket_of_[i] = buckets_.size() - 1;
    if (!group_.alone()) {
      torch::autograd::impl::set_post_acc_grad_hooks(parameter, std::make_unique<Hook>(*this, i));
    }
  }
  for (Bucket& bucket : buckets_) {
    std::int64_t elements = 0;
    for (const std::size_t i : bucket.parameters) elements += parameters_[i].second.numel();
    bucket.flat = at::zeros({elements}, parameters_[bucket.parameters.front()].second.options().requires_grad(false));
    std::int64_t begin = 0;
    for (const std::size_t i : bucket.parameters) {
      const at::Tensor& parameter = parameters_[i].second;
      const at::Tensor part = bucket.flat.narrow(0, begin, parameter.numel());
      bucket.views.push_back(parameter.is_non_overlapping_and_dense()
                                 ? part.as_strided(parameter.sizes(), parameter.strides(), part.storage_offset())
                                 : part.view(parameter.sizes()));
      begin += parameter.numel();
    }
  }
}

GradientBuckets::~GradientBuckets() {
  for (auto& [name, parameter] : parameters_) torch::autograd::impl::set_post_acc_grad_hooks(parameter, nullptr);
}

void GradientBuckets::begin(Pass pass) {
  pass_ = std::move(pass);
  overlaps_ = pass_.last && !group_.alone();
  summed_ = 0;
  if (pass_.first && !agreed_) used_.assign(used_.size(), false);
  for (Bucket& bucket : buckets_) {
    bucket.missing = 0;
    for (const std::size_t i : bucket.parameters) bucket.missing += agreed_ && !used_[i] ? 0 : 1;
  }
}

void GradientBuckets::arrived(std::size_t parameter) {
  if (!overlaps_) return;
  Bucket& bucket = buckets_[bucket_of_[parameter]];
  if (bucket.missing > 0) --bucket.missing;
  if (bucket.missing == 0) sum_those_complete();
}

void GradientBuckets::sum_those_complete() {
  const at::NoGradGuard no_grad;
  while (summed_ < buckets_.size() && buckets_[summed_].missing == 0) {
    Bucket& bucket = buckets_[summed_++];
    side_.run([&] {
      add(bucket);
      group_.begin_all_reduce(bucket.flat);
    });
  }
}

// Adds the gradients of this pass to those of the previous passes.
void GradientBuckets::add(Bucket& bucket) {
  std::vector<at::Tensor> gradients;
  std::vector<at::Tensor> views;
  std::vector<at::Tensor> without;
  for (std::size_t place = 0; place < bucket.parameters.size(); ++place) {
    const std::size_t i = bucket.parameters[place];
    const at::Tensor& gradient = parameters_[i].second.grad();
    if (!gradient.defined()) {
      without.push_back(bucket.views[place]);
      continue;
    }
    used_[i] = used_[i] || !agreed_;
    gradients.push_back(with_strides_of(bucket.views[place], gradient));
    views.push_back(bucket.views[place]);
  }
  if (pass_.first) {
    if (!without.empty()) at::_foreach_zero_(without);
    if (!views.empty()) at::_foreach_copy_(views, gradients);
    return;
  }
  bucket.flat.mul_(pass_.kept);
  if (!views.empty()) at::_foreach_add_(views, gradients);
}

void GradientBuckets::finish() {
  const at::NoGradGuard no_grad;
  require_known_gradients();
  if (overlaps_) {
    for (Bucket& bucket : buckets_) bucket.missing = 0;
    sum_those_complete();
    side_.join();
    group_.finish();
    if (!agreed_) agree_on_used();
  } else {
    for (Bucket& bucket : buckets_) add(bucket);
  }
  overlaps_ = false;
  for (const Bucket& bucket : buckets_) {
    for (std::size_t place = 0; place < bucket.parameters.size(); ++place) {
      const std::size_t i = bucket.parameters[place];
      at::Tensor& gradient = parameters_[i].second.mutable_grad();
      gradient.reset();
      if (pass_.last && used_[i]) gradient = bucket.views[place];
    }
  }
  pass_ = Pass();
}

void GradientBuckets::sum_from(std::size_t first) {
  side_.run([&] {
    for (std::size_t i = first; i < buckets_.size(); ++i) group_.begin_all_reduce(buckets_[i].flat);
  });
  side_.join();
  group_.finish();
}

// A parameter without a gradient on only some ranks, e.g. because their share of the batch is empty, gets the gradient
// of the others.
void GradientBuckets::agree_on_used() {
  at::Tensor used = at::zeros({static_cast<std::int64_t>(used_.size())}, at::kInt);
  for (std::size_t i = 0; i < used_.size(); ++i) used[static_cast<std::int64_t>(i)] = used_[i] ? 1 : 0;
  group_.all_reduce_max(used);
  for (std::size_t i = 0; i < used_.size(); ++i) used_[i] = used[static_cast<std::int64_t>(i)].item<int>() != 0;
  agreed_ = true;
}

void GradientBuckets::require_known_gradients() const {
  if (!agreed_) return;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    if (used_[i] || !parameters_[i].second.grad().defined()) continue;
    throw RunError("distributed",
                   "the parameter {} has a gradient now and had none on any rank in the first step; a model that is "
                   "trained on several devices has to use the same parameters in every step",
                   parameters_[i].first);
  }
}

}  // namespace trainyard
