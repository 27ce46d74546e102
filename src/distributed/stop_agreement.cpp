#include "distributed/stop_agreement.h"

namespace trainyard {

StopAgreement::Requests StopAgreement::now() {
  if (group_.alone()) return own();
  const Requests before = flags_.defined() ? finish() : Requests();
  begin();
  const Requests last = finish();
  return {.signal = std::max(before.signal, last.signal), .save = before.save || last.save};
}

StopAgreement::Requests StopAgreement::in_step() {
  if (group_.alone()) return now();
  const Requests before = flags_.defined() ? finish() : Requests();
  begin();
  return before;
}

StopAgreement::Requests StopAgreement::own() const {
  return {.signal = token_.signal(), .save = token_.take_save_request()};
}

void StopAgreement::begin() {
  const Requests asked = own();
  flags_ = at::tensor({asked.signal, asked.save ? 1 : 0}, at::kInt);
  pending_ = group_.all_reduce_max_later(flags_);
}

StopAgreement::Requests StopAgreement::finish() {
  pending_.wait();
  const at::Tensor flags = std::exchange(flags_, at::Tensor());
  return {.signal = flags[0].item<int>(), .save = flags[1].item<int>() != 0};
}

}  // namespace trainyard
