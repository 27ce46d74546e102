// Counts multiply-adds by observing the passes of one sample: those of each ATen product follow from the shapes of its
// inputs and outputs.

#include <numeric>

#include <ATen/record_function.h>

#include "models/model.h"

namespace trainyard {
namespace {

thread_local std::int64_t counted;

std::int64_t product(at::IntArrayRef sizes) {
  return std::accumulate(sizes.begin(), sizes.end(), std::int64_t{1}, std::multiplies<>());
}

// A convolution in progress, with the multiply-adds per element of its output.
struct Begun : at::ObserverContext {
  explicit Begun(std::int64_t per_output) : each(per_output) {}
  std::int64_t each;
};

// Each gradient of a convolution that is computed costs as much as its forward pass.
std::int64_t of_convolution_backward(const at::RecordFunction& call) {
  constexpr std::size_t transposed = 7;
  constexpr std::size_t output_mask = 10;
  const auto input = [&](std::size_t i) { return call.inputs()[i].toTensor(); };
  const bool is_transposed = call.inputs()[transposed].toBool();
  const std::int64_t each = product(input(2).sizes().slice(1));
  const auto computed = call.inputs()[output_mask].toBoolList();
  return (int{computed[0]} + int{computed[1]}) * each * input(is_transposed ? 1 : 0).numel();
}

// Counts only the operations that all others are composed of on a CPU. Attention is either one kernel or two products,
// and twice as much backward; in both cases masked elements are included, and what the kernel recomputes is not.
std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction& call) {
  const std::string_view name = call.name();
  const auto input = [&](std::size_t i) { return call.inputs()[i].toTensor(); };
  if (name == "aten::convolution") {
    // weight: out × in / groups × height × width; of a transposed one: in × out / groups × height × width
    const std::int64_t each = product(input(1).sizes().slice(1));
    constexpr std::size_t transposed = 6;
    if (!call.inputs()[transposed].toBool()) return std::make_unique<Begun>(each);
    counted += input(0).numel() * each;
    return nullptr;
  }
  if (name == "aten::addmm") {
    counted += input(1).numel() * input(2).size(1);
  } else if (name == "aten::mm" || name == "aten::bmm") {
    counted += input(0).numel() * input(1).size(-1);
  } else if (name == "aten::_scaled_dot_product_flash_attention_for_cpu") {
    counted += 2 * input(0).numel() * input(1).size(-2);  // each query with each key, then with each value
  } else if (name == "aten::_scaled_dot_product_flash_attention_for_cpu_backward") {
    counted += 4 * input(1).numel() * input(2).size(-2);
  } else if (name == "aten::convolution_backward") {
    counted += of_convolution_backward(call);
  }
  return nullptr;
}

void end(const at::RecordFunction& call, at::ObserverContext* context) {
  if (context == nullptr) return;
  counted += call.outputs()[0].toTensor().numel() * static_cast<const Begun*>(context)->each;
}

class Watch {
 public:
  Watch()
      : handle_(at::addThreadLocalCallback(at::RecordFunctionCallback(begin, end)
                                               .needsInputs(true)
                                               .needsOutputs(true)
                                               .scopes({at::RecordScope::FUNCTION}))) {}
  ~Watch() { at::removeCallback(handle_); }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

 private:
  at::CallbackHandle handle_;
};

}  // namespace

std::int64_t multiply_adds(Model& model, const ModelInput& input) {
  const at::NoGradGuard no_grad;
  const bool was_training = model.is_training();
  model.eval();
  counted = 0;
  {
    const Watch watch;
    model.forward(zero_batch(input, 1, at::kCPU));
  }
  model.train(was_training);
  return counted;
}

std::int64_t training_multiply_adds(Model& model, const ModelInput& input) {
  const bool was_training = model.is_training();
  model.eval();  // batch norm has no statistics of a single value; the products are the same
  counted = 0;
  {
    const Watch watch;
    at::Tensor sum = at::zeros({});
    for (const auto& [name, output] : model.forward(zero_batch(input, 1, at::kCPU))) {
      if (output.requires_grad()) sum = sum + output.sum();
    }
    if (sum.requires_grad()) sum.backward();
  }
  for (at::Tensor& parameter : model.parameters()) parameter.mutable_grad().reset();
  model.train(was_training);
  return counted;
}

}  // namespace trainyard
