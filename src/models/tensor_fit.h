/// Compares the tensors of a file with those they are to replace, and copies them if all match.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "util/named_tensors.h"

namespace trainyard {

/// Which element types match.
enum class Types : std::uint8_t {
  same,       ///< only equal types: for checkpoints, which resume bit-identically
  same_kind,  ///< any floating-point type matches another, any integer type another: for weights from other programs
};

/// `given` matches `wanted` if both have the same names, tensors of the same name have the same shape and matching
/// types, and no tensor of `given` contains NaN. `given` is on the CPU, `wanted` on any device.
class TensorFit {
 public:
  TensorFit(const NamedTensors& wanted, const NamedTensors& given, Types types);

  bool whole() const { return misfits_.empty() && missing_.empty() && unexpected_.empty(); }

  /// Describes the mismatches, with names, shapes and types, and the number of tensors that match. owner: of the wanted
  /// tensors, e.g. "the model". `advice`: what to do about tensors that do not fit, by name. At most about 4 KiB
  /// without it, safe to print.
  std::string problems(const std::string& owner, const std::map<std::string, std::string>& advice = {}) const;

  /// Copies each given tensor to the wanted tensor of the same name. REQUIRES whole().
  void copy() const;

 private:
  struct Misfit {
    std::string name;
    std::string given;  // e.g. "[2, 3]" or "of type Half"; empty: it contains NaN
    std::string wanted;
  };

  std::vector<std::pair<at::Tensor, at::Tensor>> copies_;  // wanted, given
  std::vector<Misfit> misfits_;
  std::vector<std::string> missing_;
  std::vector<std::string> unexpected_;
  std::size_t wanted_;
};

}  // namespace trainyard
