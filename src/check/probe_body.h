/// Runs and times a probe and compares its results. Internal to probes_torch.cpp and probes_group_torch.cpp.
#pragma once

#include <functional>
#include <string>

#include <ATen/core/Tensor.h>

#include "check/probes.h"

namespace trainyard {

/// Runs `body`, which fills in its results, converts exceptions to an outcome, and measures the time.
ProbeFacts run_probe(const std::string& device, const std::string& name, const std::function<void(ProbeFacts&)>& body);

/// Values in [-1, 1] that bf16 and fp16 represent exactly, so that only the computation rounds. CPU, double.
at::Tensor probe_numbers(at::IntArrayRef shape);

/// Sets the largest difference relative to the largest expected value, and the outcome "wrong" if it exceeds
/// `tolerance`. Throws c10::Error if the device fails.
void compare(ProbeFacts& probe, const at::Tensor& result, const at::Tensor& expected, double tolerance);

}  // namespace trainyard
