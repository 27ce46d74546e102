#include "layers/recompute.h"

#include <algorithm>
#include <optional>

#include <ATen/Context.h>
#include <ATen/autocast_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/nn/module.h>

#include "layers/fused.h"

namespace trainyard {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

thread_local Recompute* current = nullptr;

// The states of the generators that a computation on `device` may use. During capture, only the CPU's.
class RandomState {
 public:
  explicit RandomState(at::Device device) {
    add(at::kCPU);
    if (device.is_cuda() && !is_capturing(device)) add(device);
  }

  void restore() const {
    for (const auto& [generator, state] : states_) at::Generator(generator).set_state(state);
  }
  /// Whether the GPU's generator has the same state in both.
  bool has_same_gpu(const RandomState& other) const {
    return states_.size() < 2 || at::equal(states_[1].second, other.states_[1].second);
  }

 private:
  void add(at::Device device) {
    const at::Generator& generator = at::globalContext().defaultGenerator(device);
    states_.emplace_back(generator, generator.get_state());
  }

  std::vector<std::pair<at::Generator, at::Tensor>> states_;
};

struct AutocastState {
  explicit AutocastState(at::DeviceType type)
      : device(type),
        enabled(at::autocast::is_autocast_enabled(type)),
        dtype(at::autocast::get_autocast_dtype(type)),
        caches(at::autocast::is_autocast_cache_enabled()) {}

  void restore() const {
    at::autocast::set_autocast_enabled(device, enabled);
    at::autocast::set_autocast_dtype(device, dtype);
    at::autocast::set_autocast_cache_enabled(caches);
  }

  at::DeviceType device;
  bool enabled;
  at::ScalarType dtype;
  bool caches;
};

// During its lifetime, this thread has the autocast mode `state`, without the cache of casts: a cast that was made
// without gradients must not be reused by an operation that needs its gradient.
class AutocastAs {
 public:
  explicit AutocastAs(const AutocastState& state) : before_(state.device) {
    state.restore();
    at::autocast::set_autocast_cache_enabled(false);
  }
  ~AutocastAs() { before_.restore(); }
  AutocastAs(const AutocastAs&) = delete;
  AutocastAs& operator=(const AutocastAs&) = delete;

 private:
  AutocastState before_;
};

struct Call : torch::CustomClassHolder {
  Call(torch::nn::Module& module, at::Device on, const StageFunction& what)
      : function(what), device(on), buffers(module.buffers()), autocast(on.type()), random(on) {
    for (const at::Tensor& parameter : module.parameters()) {
      if (parameter.requires_grad()) parameters.push_back(parameter);
    }
  }

  // defined: the inputs without the undefined ones, which are inserted again.
  variable_list operator()(const variable_list& defined) const {
    variable_list inputs;
    std::size_t next = 0;
    for (const bool is_defined : has_input) inputs.push_back(is_defined ? defined[next++] : at::Tensor());
    const AutocastAs as_before(autocast);
    return function(inputs);
  }

  StageFunction function;
  at::Device device;
  std::vector<bool> has_input;
  std::vector<at::Tensor> parameters;
  std::vector<at::Tensor> buffers;
  AutocastState autocast;
  RandomState random;
};

variable_list only_defined(const variable_list& tensors) {
  variable_list result;
  for (const at::Tensor& tensor : tensors) {
    if (tensor.defined()) result.push_back(tensor);
  }
  return result;
}

// The distinct tensors among the outputs, and the index of each output in them; none if the output is undefined. A
// tensor that occurs several times stays a single tensor, so that its gradients are added in the same order as without
// recomputing.
struct Outputs {
  explicit Outputs(const variable_list& outputs) {
    for (const at::Tensor& output : outputs) {
      places.emplace_back();
      if (!output.defined()) continue;
      const auto found =
          std::find_if(tensors.begin(), tensors.end(), [&](const at::Tensor& t) { return t.is_same(output); });
      places.back() = static_cast<std::size_t>(found - tensors.begin());
      if (found == tensors.end()) tensors.push_back(output);
    }
  }

  variable_list tensors;
  std::vector<std::optional<std::size_t>> places;
};

variable_list detached(const variable_list& tensors) {
  variable_list result;
  for (const at::Tensor& tensor : tensors) result.push_back(tensor.detach());
  return result;
}

// The parameters are inputs of the function, so that the result requires a gradient if any of them does.
class Recomputed : public torch::autograd::Function<Recomputed> {
 public:
  // Returns the distinct outputs, detached: autograd would otherwise modify outputs that are inputs or parameters.
  static variable_list forward(AutogradContext* context, at::TensorList inputs, at::TensorList /*parameters*/,
                               const c10::intrusive_ptr<Call>& call, std::vector<std::optional<std::size_t>>& places) {
    const Outputs outputs((*call)(inputs.vec()));
    places = outputs.places;
    context->saved_data["call"] = c10::IValue::make_capsule(call);
    context->save_for_backward(inputs.vec());
    context->set_materialize_grads(false);
    return detached(outputs.tensors);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto call = c10::static_intrusive_pointer_cast<Call>(context->saved_data["call"].toCapsule());
    variable_list inputs = detached(context->get_saved_variables());
    variable_list wanted;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (context->needs_input_grad(i)) wanted.push_back(inputs[i].requires_grad_());
    }
    wanted.insert(wanted.end(), call->parameters.begin(), call->parameters.end());

    const variable_list found = gradients_of(*call, inputs, wanted, gradients);
    variable_list result;
    std::size_t next = 0;
    for (const at::Tensor& input : inputs) result.push_back(input.requires_grad() ? found[next++] : at::Tensor());
    result.insert(result.end(), found.begin() + static_cast<std::ptrdiff_t>(next), found.end());
    result.resize(result.size() + 2);  // call and places have no gradients
    return result;
  }

 private:
  static variable_list gradients_of(const Call& call, const variable_list& inputs, const variable_list& wanted,
                                    const variable_list& gradients) {
    const at::AutoGradMode with_gradients(true);
    const RandomState random_before(call.device);
    variable_list buffers_before;
    for (const at::Tensor& buffer : call.buffers) buffers_before.push_back(buffer.clone());

    call.random.restore();
    const variable_list outputs = Outputs(call(inputs)).tensors;
    random_before.restore();
    variable_list roots;
    variable_list root_gradients;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      if (!gradients[i].defined() || !outputs[i].requires_grad()) continue;
      roots.push_back(outputs[i]);
      root_gradients.push_back(gradients[i]);
    }
    const variable_list found = roots.empty()
                                    ? variable_list(wanted.size())
                                    : torch::autograd::grad(roots, wanted, root_gradients, /*retain_graph=*/false,
                                                            /*create_graph=*/false, /*allow_unused=*/true);

    const at::NoGradGuard no_grad;
    for (std::size_t i = 0; i < call.buffers.size(); ++i) call.buffers[i].copy_(buffers_before[i]);
    return found;
  }
};

}  // namespace

Recompute::Recompute(bool on) : on_(on) {
  if (on_) current = this;
}

Recompute::~Recompute() {
  if (on_) current = nullptr;
}

std::vector<at::Tensor> recompute(torch::nn::Module& module, const std::vector<at::Tensor>& inputs,
                                  const StageFunction& function) {
  if (current == nullptr) return function(inputs);
  const variable_list given = only_defined(inputs);
  const auto call = c10::make_intrusive<Call>(module, given.front().device(), function);
  for (const at::Tensor& input : inputs) call->has_input.push_back(input.defined());
  std::vector<std::optional<std::size_t>> places;
  const variable_list computed =
      Recomputed::apply(at::TensorList(given), at::TensorList(call->parameters), call, places);
  ++current->stages_;
  if (!call->random.has_same_gpu(RandomState(call->device))) current->draws_on_gpu_ = true;

  std::vector<at::Tensor> outputs;
  for (const auto& place : places) outputs.push_back(place ? computed[*place] : at::Tensor());
  return outputs;
}

}  // namespace trainyard
