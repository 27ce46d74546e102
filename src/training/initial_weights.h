/// Loads the weights that a run starts from.
#pragma once

#include "config/config.h"
#include "models/model.h"

namespace trainyard {

/// Loads the file `config.weights` into `model`, which is of `config`; does nothing if it is empty. Throws an Error
/// with ExitCode::usage if there is no such file, and what load_safetensors() and load_weights() throw.
void load_initial_weights(Model& model, const ModelConfig& config);

}  // namespace trainyard
