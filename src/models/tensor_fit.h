/// Compares the tensors of a file with those of the program that they replace, and copies them if all fit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "util/named_tensors.h"

namespace trainyard {

/// Which element types fit.
enum class Types : std::uint8_t {
  same,       ///< the wanted ones: a checkpoint continues bit for bit
  same_kind,  ///< a floating-point type for another, an integer type for another: weights from elsewhere
};

/// `given` fits `wanted` if both have the same names, each tensor the same shape, and none holds NaN. `given` is on the
/// CPU, `wanted` on any device.
class TensorFit {
 public:
  TensorFit(const NamedTensors& wanted, const NamedTensors& given, Types types);

  bool whole() const { return misfits_.empty() && missing_.empty() && unexpected_.empty(); }

  /// What does not fit, with names, shapes and types, and how many tensors do. `owner` has the wanted tensors: "the
  /// model". At most some 4 KiB, safe to print.
  std::string problems(const std::string& owner) const;

  /// Copies each given tensor to the wanted one of its name. REQUIRES whole().
  void copy() const;

 private:
  struct Misfit {
    std::string name;
    std::string given;  // "[2, 3]", "of type Half"; empty: it holds NaN
    std::string wanted;
  };

  std::vector<std::pair<at::Tensor, at::Tensor>> copies_;  // wanted, given
  std::vector<Misfit> misfits_;
  std::vector<std::string> missing_;
  std::vector<std::string> unexpected_;
  std::size_t wanted_;
};

}  // namespace trainyard
