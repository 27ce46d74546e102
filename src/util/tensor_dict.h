/// A small dictionary of tensors: the prepared fields of a batch, the outputs of a model.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <ATen/core/Tensor.h>

#include "util/error.h"

namespace trainyard {

/// A few tensors with distinct names, in insertion order. Copies share the tensors' memory.
class TensorDict {
 public:
  using Entry = std::pair<std::string, at::Tensor>;

  TensorDict() = default;
  TensorDict(std::initializer_list<Entry> entries) : entries_(entries) {}

  /// Returns nullptr if there is no tensor of this name.
  const at::Tensor* find(std::string_view name) const {
    const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.first == name; });
    return found == entries_.end() ? nullptr : &found->second;
  }
  bool contains(std::string_view name) const { return find(name) != nullptr; }

  /// Throws RunError listing the names if there is no tensor of this name.
  const at::Tensor& at(std::string_view name) const {
    if (const at::Tensor* const found = find(name)) return *found;
    std::string names;
    for (const Entry& entry : entries_) names += (names.empty() ? "" : ", ") + entry.first;
    throw RunError("tensors", "there is no '{}' among: {}", name, names);
  }

  /// Adds a tensor, or replaces the one of this name.
  void set(std::string_view name, at::Tensor tensor) {
    const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.first == name; });
    if (found != entries_.end()) {
      found->second = std::move(tensor);
    } else {
      entries_.emplace_back(name, std::move(tensor));
    }
  }

  auto begin() const { return entries_.begin(); }
  auto end() const { return entries_.end(); }
  auto begin() { return entries_.begin(); }
  auto end() { return entries_.end(); }
  std::size_t size() const { return entries_.size(); }

 private:
  std::vector<Entry> entries_;
};

}  // namespace trainyard
