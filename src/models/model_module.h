/// The base class of every model: a torch::nn::Module that is also a Model.
///
/// The two are separate because torch::nn's headers take longer to compile than everything that is done with a model.
/// Only the files of models include this header, which is precompiled for them; all others use Model (models/model.h).
#pragma once

#include <torch/nn/module.h>

#include "models/model.h"

namespace trainyard {

/// A torch::nn::Module like any other. A model derives from it, writes forward(), and registers itself in
/// ModelRegistry.
class ModelModule : public torch::nn::Module, public Model {
 public:
  using torch::nn::Module::buffers;
  using torch::nn::Module::eval;
  using torch::nn::Module::is_training;
  using torch::nn::Module::named_parameters;
  using torch::nn::Module::parameters;
  using torch::nn::Module::to;
  using torch::nn::Module::train;

 private:
  torch::nn::Module& module() final { return *this; }
};

}  // namespace trainyard
