/// Checks a model before a run begins. Reports a mistake in a model's file together with its layer.
#pragma once

#include <string>

#include "models/model.h"

namespace trainyard {

/// Runs `model` in evaluation mode on one sample of zeros, and checks that it returns floating-point "logits" of the
/// shape that `input` requires, and computes them from no parameters but its own. `name` is the model's name in errors.
/// Throws RunError "model": if an operation fails, with its parameter, the shapes and LibTorch's message; if the result
/// is wrong, with its shape; for a parameter that was not registered, with its shape. Does not change the model's mode,
/// tensors and device, nor the states of the default random number generators.
void check_forward(Model& model, const ModelInput& input, const std::string& name);

/// Returns LibTorch's message if `model` cannot be trained on a batch of one sample, e.g. because batch normalization
/// over a single value per channel has no variance; empty if it can. Changes nothing, like check_forward().
std::string failure_on_one_sample(Model& model, const ModelInput& input);

}  // namespace trainyard
