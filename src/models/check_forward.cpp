#include "models/check_forward.h"

#include <exception>

#include <ATen/Context.h>
#include <ATen/record_function.h>

#include "models/gradient_leaves.h"
#include "util/error.h"
#include "util/text_lines.h"

namespace trainyard {
namespace {

// The innermost failing operation that takes a parameter of the model.
struct FailedOperation {
  std::string name;
  std::string parameter;  ///< its name
  std::vector<std::int64_t> parameter_shape;
  std::vector<std::int64_t> input_shape;
};

// Watches the operations of this thread during its lifetime. RecordFunction calls back at the end of an operation even
// if the operation throws; records the first one that throws and has a parameter among its inputs.
class FailureWatch {
 public:
  explicit FailureWatch(const Model& model)
      : handle_(at::addThreadLocalCallback(
            at::RecordFunctionCallback(begin, end).needsInputs(true).scopes({at::RecordScope::FUNCTION}))) {
    watch = this;
    for (const auto& [name, parameter] : model.named_parameters()) parameters_.emplace_back(name, parameter.detach());
  }
  ~FailureWatch() {
    at::removeCallback(handle_);
    watch = nullptr;
  }
  FailureWatch(const FailureWatch&) = delete;
  FailureWatch& operator=(const FailureWatch&) = delete;

  const std::optional<FailedOperation>& failed() const { return failed_; }

 private:
  struct Operation : at::ObserverContext {
    explicit Operation(FailedOperation begun) : description(std::move(begun)) {}
    FailedOperation description;
  };

  static std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction& call) {
    FailedOperation operation{.name = call.name(), .parameter = "", .parameter_shape = {}, .input_shape = {}};
    for (const c10::IValue& input : call.inputs()) {
      if (!input.isTensor() || !input.toTensor().defined()) continue;
      const at::Tensor tensor = input.toTensor();
      const std::string name = watch->parameter_with_memory_of(tensor);
      // Prefers the weight to the bias: it has more dimensions or comes first.
      if (!name.empty() && tensor.dim() > static_cast<std::int64_t>(operation.parameter_shape.size())) {
        operation.parameter = name;
        operation.parameter_shape = tensor.sizes().vec();
      } else if (name.empty() && operation.input_shape.empty()) {
        operation.input_shape = tensor.sizes().vec();
      }
    }
    return operation.parameter.empty() ? nullptr : std::make_unique<Operation>(std::move(operation));
  }

  static void end(const at::RecordFunction& /*call*/, at::ObserverContext* context) {
    if (context == nullptr || std::uncaught_exceptions() == watch->exceptions_ || watch->failed_) return;
    watch->failed_ = static_cast<const Operation*>(context)->description;
  }

  std::string parameter_with_memory_of(const at::Tensor& tensor) const {
    if (!tensor.has_storage()) return "";
    for (const auto& [name, parameter] : parameters_) {
      if (parameter.is_alias_of(tensor)) return name;
    }
    return "";
  }

  static thread_local FailureWatch* watch;

  at::CallbackHandle handle_;
  NamedTensors parameters_;
  int exceptions_ = std::uncaught_exceptions();
  std::optional<FailedOperation> failed_;
};

thread_local FailureWatch* FailureWatch::watch = nullptr;

// Restores what a forward pass may change: mode, buffers, random number generators.
class Restore {
 public:
  explicit Restore(Model& model) : model_(model), was_training_(model.is_training()) {
    for (const at::Tensor& buffer : model.buffers()) buffers_.emplace_back(buffer, buffer.clone());
    for (const at::Device device : {at::Device(at::kCPU), device_of(model)}) {
      const at::Generator generator = at::globalContext().defaultGenerator(device);
      generators_.emplace_back(generator, generator.get_state());
    }
  }
  ~Restore() {
    const at::NoGradGuard no_grad;
    for (auto& [buffer, before] : buffers_) buffer.copy_(before);
    for (auto& [generator, state] : generators_) generator.set_state(state);
    model_.train(was_training_);
  }
  Restore(const Restore&) = delete;
  Restore& operator=(const Restore&) = delete;

  static at::Device device_of(const Model& model) {
    const std::vector<at::Tensor> parameters = model.parameters();
    return parameters.empty() ? at::Device(at::kCPU) : parameters.front().device();
  }

 private:
  Model& model_;
  bool was_training_;
  std::vector<std::pair<at::Tensor, at::Tensor>> buffers_;
  std::vector<std::pair<at::Generator, at::Tensor>> generators_;
};

TensorDict one_sample(const Model& model, const ModelInput& input) {
  return zero_batch(input, 1, Restore::device_of(model));
}

std::string shape_text(at::IntArrayRef shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

// Converts errors to errors that name the model and, for LibTorch's, the layer.
TensorDict forward_one_sample(Model& model, const ModelInput& input, const std::string& name) {
  const at::AutoGradMode with_gradients(true);  // for require_registered()
  const FailureWatch watch(model);
  try {
    return model.forward(one_sample(model, input));
  } catch (const c10::Error& error) {
    const std::string where =
        watch.failed()
            ? fmt::format(" in {} with {} {} on an input of {}", watch.failed()->name, watch.failed()->parameter,
                          shape_text(watch.failed()->parameter_shape), shape_text(watch.failed()->input_shape))
            : "";
    throw RunError("model", "'{}' fails on one sample of {}{}: {}; correct its layers or the size of the samples", name,
                   describe(input.fields), where, first_line(error.what_without_backtrace()));
  } catch (const RunError& error) {  // e.g. of a field that the batch lacks
    throw RunError("model", "'{}' fails on one sample of {}: {}", name, describe(input.fields), error.what());
  }
}

std::string names_of(const TensorDict& outputs) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : outputs) names.push_back(fmt::format("'{}'", name));
  return names.empty() ? "nothing" : fmt::format("{}", fmt::join(names, ", "));
}

// A layer that is only a member of a class is neither trained nor saved: Python registers members, C++ does not.
void require_registered(const Model& model, const at::Tensor& logits, const std::string& name) {
  std::unordered_set<const at::TensorImpl*> own;
  for (const at::Tensor& parameter : model.parameters()) own.insert(parameter.unsafeGetTensorImpl());
  for (const at::TensorImpl* const leaf : gradient_leaves(logits)) {
    if (own.contains(leaf)) continue;
    throw RunError(
        "model",
        "'{}' computes with a parameter of {} that it has not registered, so it would be neither trained nor "
        "saved: pass each layer to register_module(), and each parameter to register_parameter()",
        name, shape_text(leaf->sizes()));
  }
}

}  // namespace

void check_forward(Model& model, const ModelInput& input, const std::string& name) {
  const Restore restore(model);
  model.eval();
  const TensorDict outputs = forward_one_sample(model, input, name);
  const at::Tensor* const logits = outputs.find("logits");
  if (logits == nullptr || !logits->defined()) {
    throw RunError("model", "'{}' returns {}; forward() has to return its result as 'logits'", name, names_of(outputs));
  }
  std::vector<std::int64_t> wanted = input.logits;
  wanted.insert(wanted.begin(), 1);
  if (logits->sizes() != wanted || !logits->is_floating_point()) {
    throw RunError("model",
                   "'{}' returns {} {} as 'logits' for one sample; the task needs floating-point scores of {}: give "
                   "its last layer {} outputs, or choose a model for this task",
                   name, shape_text(logits->sizes()), logits->dtype().name(), shape_text(wanted), input.outputs);
  }
  require_registered(model, *logits, name);
}

std::string failure_on_one_sample(Model& model, const ModelInput& input) {
  const Restore restore(model);
  model.train();
  const at::NoGradGuard no_grad;
  try {
    model.forward(one_sample(model, input));
    return "";
  } catch (const c10::Error& error) {
    return std::string(first_line(error.what_without_backtrace()));
  }
}

}  // namespace trainyard
