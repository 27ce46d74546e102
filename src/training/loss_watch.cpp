#include "training/loss_watch.h"

#include <c10/core/impl/VirtualGuardImpl.h>

namespace trainyard {
namespace {

constexpr std::size_t max_in_flight = 8;  // enough queued steps to keep a GPU busy

}  // namespace

void LossWatch::add(const at::Tensor& loss, const Origin& origin) {
  if (loss.is_cpu()) {
    entries_.push_back({origin, loss, std::nullopt});
    return;
  }
  const at::Tensor host = at::empty({}, at::TensorOptions(at::kCPU).dtype(at::kFloat).pinned_memory(true));
  host.copy_(loss, /*non_blocking=*/true);
  c10::Event arrived(loss.device().type());
  arrived.record(c10::impl::VirtualGuardImpl(loss.device().type()).getStream(loss.device()));
  entries_.push_back({origin, host, std::move(arrived)});
}

std::optional<LossWatch::Known> LossWatch::next() {
  if (entries_.empty()) return std::nullopt;
  const std::optional<c10::Event>& arrived = entries_.front().arrived;
  if (arrived && !arrived->query() && entries_.size() <= max_in_flight) return std::nullopt;
  return take();
}

std::optional<LossWatch::Known> LossWatch::wait_for_next() {
  return entries_.empty() ? std::nullopt : std::optional(take());
}

LossWatch::Known LossWatch::take() {
  const Entry& oldest = entries_.front();
  if (oldest.arrived) oldest.arrived->synchronize();
  const Known known{oldest.origin, oldest.loss.item<double>()};
  entries_.pop_front();
  return known;
}

}  // namespace trainyard
