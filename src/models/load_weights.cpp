// Loads weights from other programs into a new model: their names may differ or have a prefix that wrappers add, their
// tensors may have shapes that the model can adapt, and their head may have other classes.

#include <algorithm>
#include <map>
#include <set>

#include <fmt/ranges.h>

#include "models/model.h"
#include "models/tensor_fit.h"
#include "util/count_of.h"
#include "util/error.h"
#include "util/log.h"
#include "util/printable.h"

namespace trainyard {
namespace {

constexpr std::size_t max_shown = 5;  // ignored names in the warning
constexpr std::size_t longest_shown = 120;
constexpr std::size_t max_prefix = 120;

bool all_begin_with(const NamedTensors& tensors, std::string_view prefix) {
  return std::all_of(tensors.begin(), tensors.end(),
                     [&](const auto& entry) { return entry.first.starts_with(prefix); });
}

// Returns the names of modules that all tensors share and whose removal makes the most names match the model's, e.g.
// "module." of DataParallel or "net." of a LightningModule. Empty if no removal improves on the unchanged names.
std::string foreign_prefix(const Model& model, const NamedTensors& state, const NamedTensors& wanted) {
  std::set<std::string> known;
  for (const auto& [name, tensor] : wanted) known.insert(name);
  const auto fitting = [&](std::size_t prefix) {
    return std::count_if(state.begin(), state.end(),
                         [&](const auto& entry) { return known.contains(model.own_name(entry.first.substr(prefix))); });
  };
  if (state.empty()) return "";
  const std::string_view first = state.front().first;
  std::size_t best = 0;
  auto most = fitting(0);
  for (std::size_t dot = first.find('.'); dot < max_prefix; dot = first.find('.', dot + 1)) {
    const std::size_t prefix = dot + 1;
    if (!all_begin_with(state, first.substr(0, prefix))) break;
    if (const auto count = fitting(prefix); count > most) {
      most = count;
      best = prefix;
    }
  }
  return std::string(first.substr(0, best));
}

const at::Tensor* find(const NamedTensors& tensors, const std::string& name) {
  const auto found =
      std::find_if(tensors.begin(), tensors.end(), [&](const auto& entry) { return entry.first == name; });
  return found == tensors.end() ? nullptr : &found->second;
}

bool same(const at::Tensor& a, const at::Tensor& b) { return a.scalar_type() == b.scalar_type() && at::equal(a, b); }

struct OwnTensors {
  NamedTensors tensors;              // under the model's names
  std::vector<std::string> ignored;  // names in the file of tensors that the model does not use
};

// Tensors of the file that are the same tensor in the model must be equal.
OwnTensors own_tensors(const Model& model, const NamedTensors& state, std::size_t prefix, const std::string& origin) {
  OwnTensors result;
  std::map<std::string, const NamedTensors::value_type*> first;  // by the model's name
  for (const auto& entry : state) {
    const std::string name = entry.first.substr(prefix);
    const std::string own = model.own_name(name);
    if (own.empty()) {
      result.ignored.push_back(name);
    } else if (const auto [found, is_new] = first.emplace(own, &entry); is_new) {
      result.tensors.emplace_back(own, entry.second);
    } else if (!same(found->second->second, entry.second)) {
      throw RunError("model.weights",
                     "{}: '{}' and '{}' are one tensor of the model, but differ: remove the wrong one from the file",
                     origin, printable(found->second->first, longest_shown), printable(entry.first, longest_shown));
    }
  }
  return result;
}

struct Adaptation {
  std::vector<std::string> done;              // lines for the log
  std::map<std::string, std::string> advice;  // on tensors that do not fit, by name
};

// What to do if the weights are of a network for images of other channels; otherwise empty.
std::string advice_on_channels(const at::Tensor& given, const at::Tensor& wanted) {
  if (given.dim() != 4 || wanted.dim() != 4) return "";
  std::vector<std::int64_t> expected = wanted.sizes().vec();
  expected[1] = given.size(1);
  if (given.sizes() != expected) return "";
  return fmt::format("the weights are for images of {}; image files have 3 or 1, as data.channels says",
                     count_of(given.size(1), "channel"));
}

// Adapts the tensors of `given` whose shape differs from that in `wanted`.
Adaptation adapt(const Model& model, const NamedTensors& wanted, NamedTensors& given) {
  Adaptation result;
  for (auto& [name, tensor] : given) {
    const at::Tensor* const target = find(wanted, name);
    if (target == nullptr || target->sizes() == tensor.sizes()) continue;
    Adapted adapted = model.adapt(name, tensor, *target);
    if (!adapted.tensor.defined() && adapted.note.empty()) adapted.note = advice_on_channels(tensor, *target);
    if (adapted.tensor.defined()) {
      tensor = std::move(adapted.tensor);
      if (!adapted.note.empty()) result.done.push_back(fmt::format("'{}' is {}", name, adapted.note));
    } else if (!adapted.note.empty()) {
      result.advice.emplace(name, std::move(adapted.note));
    }
  }
  return result;
}

void warn_of_ignored(const std::vector<std::string>& names, const std::string& origin) {
  if (names.empty()) return;
  std::vector<std::string> shown;
  for (std::size_t i = 0; i < std::min(names.size(), max_shown); ++i) {
    shown.push_back(printable(names[i], longest_shown));
  }
  log_warning("[model.weights] {}: {} of its tensors are ignored, which the model has no use for: {}{}", origin,
              names.size(), fmt::join(shown, ", "), names.size() > max_shown ? ", ..." : "");
}

NamedTensors without_head(const Model& model, NamedTensors tensors) {
  std::erase_if(tensors, [&](const auto& entry) { return model.is_of_head(entry.first); });
  return tensors;
}

// Advice for the error if tensors of the head are missing or have other shapes.
std::string head_advice(const Model& model, const NamedTensors& wanted, const NamedTensors& given) {
  const std::string head = model.head();
  for (const auto& [name, tensor] : wanted) {
    if (!model.is_of_head(name)) continue;
    const at::Tensor* const found = find(given, name);
    if (found != nullptr && found->sizes() == tensor.sizes()) continue;
    const bool other_classes = found != nullptr && found->dim() > 0 && found->size(0) != tensor.size(0);
    const std::string classes = other_classes ? count_of(found->size(0), "class", "classes") : "";
    const std::string what =
        found == nullptr ? fmt::format("it has no {}", name)
        : other_classes  ? fmt::format("its head '{}' is for {}, the data have {}", head, classes, tensor.size(0))
                         : fmt::format("its head '{}' does not fit", head);
    return fmt::format("{}: give --model.reset_head true to draw a new head; ", what);
  }
  return "";
}

std::string variant_advice(const Model& model, const NamedTensors& given) {
  const std::string variant = model.unsupported_variant(given);
  if (variant.empty()) return "";
  return fmt::format("they are the weights of {}, which this model does not implement: choose others; ", variant);
}

void require_head(const Model& model, const NamedTensors& wanted) {
  const auto is_of_head = [&](const auto& entry) { return model.is_of_head(entry.first); };
  if (std::any_of(wanted.begin(), wanted.end(), is_of_head)) return;
  throw UsageError("model.reset_head",
                   "the model has no parameters in '{}', the module that its head() names: override head() in the "
                   "model's file, or drop the setting",
                   model.head());
}

}  // namespace

void load_weights(Model& model, const NamedTensors& state, bool reset_head, const std::string& origin) {
  const NamedTensors wanted = model.state_dict();
  if (reset_head) require_head(model, wanted);
  const std::string prefix = foreign_prefix(model, state, wanted);
  auto [given, ignored] = own_tensors(model, state, prefix.size(), origin);
  const Adaptation adaptation = adapt(model, reset_head ? without_head(model, wanted) : wanted, given);

  const TensorFit body(without_head(model, wanted), without_head(model, given), Types::same_kind);
  const TensorFit fit = reset_head ? body : TensorFit(wanted, given, Types::same_kind);
  if (!fit.whole()) {
    const std::string without =
        prefix.empty() ? "" : fmt::format(" (without the prefix '{}' of all names)", printable(prefix));
    const std::string variant = variant_advice(model, given);
    const std::string reason = body.whole() ? head_advice(model, wanted, given) : variant;
    throw RunError("model.weights", "{}{}: {}{}", origin, without, reason,
                   variant.empty() ? fit.problems("the model", adaptation.advice) : fit.problems("the model"));
  }
  if (!prefix.empty()) {
    log_warning("[model.weights] {}: all names begin with '{}'; without it they are the model's and are used", origin,
                printable(prefix));
  }
  warn_of_ignored(ignored, origin);
  for (const std::string& line : adaptation.done) log_warning("[model.weights] {}: {}", origin, line);
  fit.copy();
}

}  // namespace trainyard
