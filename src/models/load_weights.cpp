// Weights from elsewhere for a new run: their names may carry what wrappers put before them, their head may have other
// classes.

#include <algorithm>
#include <array>
#include <set>

#include "models/model.h"
#include "models/tensor_fit.h"
#include "util/error.h"
#include "util/log.h"

namespace trainyard {
namespace {

// Of DataParallel, of torch.compile, of Lightning and timm's EMA.
constexpr std::array prefixes = {"module.", "_orig_mod.", "model."};
constexpr std::size_t most_prefixes = 8;

// Every name begins with `prefix` and has more than that.
bool all_begin_with(const NamedTensors& tensors, const std::string& prefix) {
  return !tensors.empty() && std::all_of(tensors.begin(), tensors.end(), [&](const auto& entry) {
    return entry.first.starts_with(prefix) && entry.first.size() > prefix.size();
  });
}

// The longest prefix of the known ones, one after the other, that all names share and without which more of them are
// the model's. Empty if there is none.
std::string foreign_prefix(const NamedTensors& state, const NamedTensors& wanted) {
  std::set<std::string_view> known;
  for (const auto& [name, tensor] : wanted) known.insert(name);
  const auto fitting = [&](std::size_t prefix) {
    return std::count_if(state.begin(), state.end(), [&](const auto& entry) {
      return known.contains(std::string_view(entry.first).substr(prefix));
    });
  };
  std::string best;
  std::string prefix;
  auto most = fitting(0);
  for (std::size_t i = 0; i < most_prefixes; ++i) {
    const auto* const next = std::find_if(prefixes.begin(), prefixes.end(),
                                          [&](const char* one) { return all_begin_with(state, prefix + one); });
    if (next == prefixes.end()) break;
    prefix += *next;
    if (const auto count = fitting(prefix.size()); count > most) {
      most = count;
      best = prefix;
    }
  }
  return best;
}

const at::Tensor* find(const NamedTensors& tensors, const std::string& name) {
  const auto found =
      std::find_if(tensors.begin(), tensors.end(), [&](const auto& entry) { return entry.first == name; });
  return found == tensors.end() ? nullptr : &found->second;
}

NamedTensors without_head(const Model& model, NamedTensors tensors) {
  std::erase_if(tensors, [head = model.head() + "."](const auto& entry) { return entry.first.starts_with(head); });
  return tensors;
}

// What to do about a head whose tensors are missing or of other shapes.
std::string head_advice(const std::string& head, const NamedTensors& wanted, const NamedTensors& given) {
  for (const auto& [name, tensor] : wanted) {
    if (!name.starts_with(head + ".")) continue;
    const at::Tensor* const found = find(given, name);
    if (found != nullptr && found->sizes() == tensor.sizes()) continue;
    const bool other_classes = found != nullptr && found->dim() > 0 && found->size(0) != tensor.size(0);
    const std::string what = found == nullptr ? fmt::format("it has no {}", name)
                             : other_classes  ? fmt::format("its head '{}' is for {} classes, the data have {}", head,
                                                            found->size(0), tensor.size(0))
                                              : fmt::format("its head '{}' does not fit", head);
    return fmt::format("{}: give --model.reset_head true to draw a new head; ", what);
  }
  return "";
}

}  // namespace

void load_weights(Model& model, const NamedTensors& state, bool reset_head, const std::string& origin) {
  const NamedTensors wanted = model.state_dict();
  const std::string prefix = foreign_prefix(state, wanted);
  NamedTensors given = state;
  for (auto& [name, tensor] : given) name.erase(0, prefix.size());

  const TensorFit body(without_head(model, wanted), without_head(model, given), Types::same_kind);
  const TensorFit fit = reset_head ? body : TensorFit(wanted, given, Types::same_kind);
  if (!fit.whole()) {
    const std::string without = prefix.empty() ? "" : fmt::format(" (without the prefix '{}' of all names)", prefix);
    throw RunError("model.weights", "{}{}: {}{}", origin, without,
                   body.whole() ? head_advice(model.head(), wanted, given) : "", fit.problems("the model"));
  }
  if (!prefix.empty()) {
    log_warning("[model.weights] {}: all names begin with '{}'; without it they are the model's and are used", origin,
                prefix);
  }
  fit.copy();
}

}  // namespace trainyard
