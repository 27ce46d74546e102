/// Measures the distance between the training steps of two programs.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>

#include <gtest/gtest.h>

#include "parity/parity.h"

namespace trainyard {

inline at::Tensor exact(const at::Tensor& tensor) { return tensor.detach().cpu().to(at::kDouble); }

inline double largest(const at::Tensor& tensor) { return tensor.numel() == 0 ? 0 : tensor.abs().max().item<double>(); }

// The largest difference, relative to the largest value or to `least`, whichever is larger. Relative differences of
// single values mean nothing if the values cancel.
inline double distance(const at::Tensor& actual, const at::Tensor& expected, double least) {
  if (expected.numel() == 0) return 0;
  return largest(actual - expected) / std::max(largest(expected), least);
}

// Rounding decides on which side of zero a ReLU input near zero is. One such input changes single values a lot, but all
// values together only a little.
struct Distances {
  double logits = 0;          // of the first step
  double gradients = 0;       // of the first step, the largest of all tensors
  double whole_gradient = 0;  // of the first step, as one vector
  double losses = 0;          // of all steps
  double change = 0;          // of parameters, buffers and averages by all steps, the largest of all tensors
  double whole_change = 0;    // of the parameters by all steps, as one vector
};

// The distance of two vectors, each consisting of many tensors, relative to the norm of the second one.
class VectorDistance {
 public:
  void add(const at::Tensor& actual, const at::Tensor& expected) {
    difference_ += (actual - expected).square().sum().item<double>();
    expected_ += expected.square().sum().item<double>();
  }
  double value() const { return std::sqrt(difference_ / expected_); }

 private:
  double difference_ = 0;
  double expected_ = 0;
};

inline Distances distances(const Tensors& actual, const Tensors& expected, const Tensors& begin) {
  EXPECT_EQ(actual.size(), expected.size());
  const auto changed = [&](const Tensors& tensors, const std::string& name) {
    return exact(tensors.at(name)) - exact(begin.at(name));
  };
  const auto is_parameter = [&](const std::string& name) {
    return name.starts_with("model.") && expected.contains("gradient." + name.substr(std::strlen("model.")));
  };
  double largest_change = 0;
  for (const auto& [name, tensor] : expected) {
    if (begin.contains(name) && tensor.is_floating_point()) {
      largest_change = std::max(largest_change, largest(changed(expected, name)));
    }
  }
  Distances worst;
  VectorDistance gradient;
  VectorDistance change;
  for (const auto& [name, tensor] : expected) {
    const auto found = actual.find(name);
    if (found == actual.end()) {
      ADD_FAILURE() << name;
      continue;
    }
    // A gradient that cancels, e.g. that of a key's bias, consists of rounding only, and so does its effect on the
    // weight.
    if (begin.contains(name)) {
      const at::Tensor got = changed(actual, name);
      const at::Tensor wanted = changed(expected, name);
      worst.change = std::max(worst.change, distance(got, wanted, 1e-3 * largest_change));
      if (is_parameter(name)) change.add(got, wanted);
      continue;
    }
    const at::Tensor got = exact(found->second);
    const at::Tensor wanted = exact(tensor);
    double& group = name == "logits" ? worst.logits : name == "losses" ? worst.losses : worst.gradients;
    group = std::max(group, distance(got, wanted, 1e-3));
    if (name.starts_with("gradient.")) gradient.add(got, wanted);
  }
  worst.whole_gradient = gradient.value();
  worst.whole_change = change.value();
  return worst;
}

}  // namespace trainyard
