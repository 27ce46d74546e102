/// What all probes have in common. Internal to probes_torch.cpp and probes_group_torch.cpp.
#pragma once

#include <functional>
#include <string>

#include <ATen/core/Tensor.h>

#include "check/probes.h"

namespace trainyard {

/// Runs `body`, which fills in what it finds, turns what it throws into an outcome, and takes the time.
ProbeFacts run_probe(const std::string& device, const std::string& name, const std::function<void(ProbeFacts&)>& body);

/// Numbers in [-1, 1] that bf16 and fp16 hold exactly, so that only the computation rounds, not the input. CPU, double.
at::Tensor probe_numbers(at::IntArrayRef shape);

/// Sets the largest difference relative to the largest expected value, and the outcome "wrong" where it is over
/// `tolerance`. Throws c10::Error where the device fails.
void compare(ProbeFacts& probe, const at::Tensor& result, const at::Tensor& expected, double tolerance);

/// The probes are small: on a busy machine, or one with a hundred cores, waking threads takes longer than the sums.
class OneThread {
 public:
  OneThread();
  ~OneThread();
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

}  // namespace trainyard
