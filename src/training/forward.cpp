#include "training/forward.h"

#include <ATen/ops/ones.h>
#include <ATen/ops/promote_types.h>

#include "training/precision.h"
#include "util/error.h"

namespace trainyard {

TensorDict prepare(const Task& task, const DeviceBatch& raw, Precision precision) {
  const Autocast autocast(precision, raw.fields.front().data.device().type());
  return task.prepare(raw);
}

TensorDict forward(Model& model, const Task& task, const TensorDict& batch, Precision precision) {
  TensorDict outputs;
  {
    const Autocast autocast(precision, batch.begin()->second.device().type());
    outputs = model.forward(batch);
  }
  if (task.takes_half_precision()) return outputs;
  for (auto& [name, tensor] : outputs) {
    if (tensor.is_floating_point()) tensor = tensor.to(at::promote_types(tensor.scalar_type(), at::kFloat));
  }
  return outputs;
}

TensorDict forward_mirrored(Model& model, const Task& task, const TensorDict& batch, Precision precision) {
  const at::Tensor* const image = batch.find("image");
  std::optional<TensorDict> other;
  if (image != nullptr) {
    TensorDict mirrored = batch;
    mirrored.set("image", image->flip(3));
    other = task.unmirrored(forward(model, task, mirrored, precision));
  }
  if (!other) throw UsageError("mirror", "this checkpoint has no use for mirrored images; leave --mirror out");
  TensorDict outputs = forward(model, task, batch, precision);
  for (auto& [name, tensor] : outputs) tensor = (tensor + other->at(name)) / 2;
  return outputs;
}

at::Tensor are_finite(const TensorDict& outputs, std::int64_t samples) {
  at::Tensor finite = at::ones({samples}, at::kBool);
  for (const auto& [name, output] : outputs) {
    const bool is_of_each = output.dim() > 0 && output.size(0) == samples;
    const at::Tensor elements = output.isfinite();
    finite = finite & (is_of_each ? elements.reshape({samples, -1}).all(1) : elements.all()).cpu();
  }
  return finite;
}

std::int64_t samples_of(const TensorDict& batch) { return batch.begin()->second.size(0); }

}  // namespace trainyard
