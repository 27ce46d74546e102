/// What a model must do before a run can begin. A mistake in a model's file is found here and named with its layer.
#pragma once

#include <string>

#include "models/model.h"

namespace trainyard {

/// Runs `model` in evaluation mode on one sample of zeros, and checks that it returns floating-point "logits" of the
/// shape that `input` asks for. `name` is the model's in errors. Throws RunError "model": for an operation that fails,
/// with the parameter that it takes, the shapes, and LibTorch's reason; for another result, with its shape. The model's
/// mode, tensors and device stay as they are, as do the states of the default random number generators.
void check_forward(Model& model, const ModelInput& input, const std::string& name);

/// Why `model` cannot be trained on a batch of one sample, in LibTorch's words; empty if it can. Batch normalisation
/// over a single value for each channel cannot: there is no variance. Leaves everything as check_forward() does.
std::string failure_on_one_sample(Model& model, const ModelInput& input);

}  // namespace trainyard
