#include "models/tensor_fit.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "util/nearest.h"
#include "util/printable.h"
#include "util/torch.h"

namespace trainyard {
namespace {

constexpr std::size_t max_shown = 5;  // problems of each kind
constexpr std::size_t longest_shown = 120;

std::string shape_of(const at::Tensor& tensor) {
  return printable(fmt::format("[{}]", fmt::join(tensor.sizes(), ", ")), longest_shown);
}

std::string type_of(const at::Tensor& tensor) { return fmt::format("of type {}", c10::toString(tensor.scalar_type())); }

bool types_fit(const at::Tensor& wanted, const at::Tensor& given, Types types) {
  if (wanted.scalar_type() == given.scalar_type()) return true;
  if (types == Types::same) return false;
  const auto both = [&](auto is_kind) { return is_kind(wanted.scalar_type()) && is_kind(given.scalar_type()); };
  return both([](at::ScalarType type) { return c10::isFloatingType(type); }) ||
         both([](at::ScalarType type) { return c10::isIntegralType(type, /*includeBool=*/false); });
}

bool holds_nan(const at::Tensor& tensor) { return tensor.is_floating_point() && tensor.isnan().any().item<bool>(); }

std::string in_quotes(const std::string& name) { return fmt::format("'{}'", printable(name, longest_shown)); }

// Empty if no known name is similar, or if the name is too long to compare quickly.
std::string nearest_to(const std::string& name, const std::vector<std::string>& known) {
  if (known.empty() || name.size() > longest_shown) return "";
  const std::string nearest = nearest_first(name, known).front();
  return edit_distance(name, nearest) <= name.size() / 2 ? fmt::format("; missing is {}", in_quotes(nearest)) : "";
}

}  // namespace

TensorFit::TensorFit(const NamedTensors& wanted, const NamedTensors& given, Types types) : wanted_(wanted.size()) {
  std::map<std::string, at::Tensor> left(given.begin(), given.end());
  for (const auto& [name, target] : wanted) {
    const auto found = left.find(name);
    if (found == left.end()) {
      missing_.push_back(name);
      continue;
    }
    const at::Tensor source = found->second;
    left.erase(found);
    if (source.sizes() != target.sizes()) {
      misfits_.push_back({name, shape_of(source), shape_of(target)});
    } else if (!types_fit(target, source, types)) {
      misfits_.push_back({name, type_of(source), type_of(target)});
    } else if (at::Tensor converted = source.to(target.scalar_type()); holds_nan(converted)) {
      misfits_.push_back({name, "", ""});
    } else {
      copies_.emplace_back(target, std::move(converted));
    }
  }
  for (const auto& [name, tensor] : left) unexpected_.push_back(name);
}

std::string TensorFit::problems(const std::string& owner, const std::map<std::string, std::string>& advice) const {
  std::vector<std::string> lines;
  const auto add = [&](const auto& problems, const char* kind, auto describe) {
    for (std::size_t i = 0; i < std::min(problems.size(), max_shown); ++i) lines.push_back(describe(problems[i]));
    if (problems.size() > max_shown) lines.push_back(fmt::format("and {} more {}", problems.size() - max_shown, kind));
  };
  add(misfits_, "that do not fit", [&](const Misfit& misfit) {
    if (misfit.given.empty()) return fmt::format("tensor {} holds NaN", in_quotes(misfit.name));
    const auto found = advice.find(misfit.name);
    return fmt::format("tensor {} is {}, {}'s is {}{}", in_quotes(misfit.name), misfit.given, owner, misfit.wanted,
                       found == advice.end() ? "" : ": " + found->second);
  });
  add(missing_, "that are missing",
      [](const std::string& name) { return fmt::format("tensor {} is missing", in_quotes(name)); });
  add(unexpected_, "that are unexpected", [&](const std::string& name) {
    return fmt::format("tensor {} is unexpected{}", in_quotes(name), nearest_to(name, missing_));
  });
  if (lines.size() == 1) return lines.front();
  return fmt::format("{} of {}'s {} tensors fit:\n  {}", copies_.size(), owner, wanted_, fmt::join(lines, "\n  "));
}

void TensorFit::copy() const {
  const at::NoGradGuard no_grad;
  for (const auto& [target, source] : copies_) target.copy_(source);
}

}  // namespace trainyard
