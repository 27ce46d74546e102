/// What a model's file needs: torch::nn, and a base that is both a torch::nn::Module and a Model. Precompiled for the
/// models; nothing else includes it.
#pragma once

#include <torch/nn/module.h>

#include "models/model.h"

namespace trainyard {

/// A torch::nn::Module like any other. A model derives from it, writes forward(), and registers itself in
/// ModelRegistry.
class Network : public torch::nn::Module, public Model {
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
