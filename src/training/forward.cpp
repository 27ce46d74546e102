#include "training/forward.h"

#include <ATen/ops/promote_types.h>

#include "training/precision.h"

namespace trainyard {

TensorDict forward(Model& model, const TensorDict& batch, Precision precision) {
  TensorDict outputs;
  {
    const Autocast autocast(precision, batch.begin()->second.device().type());
    outputs = model.forward(batch);
  }
  for (auto& [name, tensor] : outputs) {
    if (tensor.is_floating_point()) tensor = tensor.to(at::promote_types(tensor.scalar_type(), at::kFloat));
  }
  return outputs;
}

std::int64_t samples_of(const TensorDict& batch) { return batch.begin()->second.size(0); }

}  // namespace trainyard
