// MNIST: 60,000 training and 10,000 test grey images of handwritten digits (LeCun, Bottou, Bengio, Haffner:
// "Gradient-based learning applied to document recognition", 1998).
#include "datasets/idx_images.h"

namespace trainyard {
namespace {

std::unique_ptr<Dataset> make_mnist(const DataConfig& config, Split split) {
  if (split == Split::val) return nullptr;
  static const IdxImages::Kind kind{
      .name = "mnist",
      .places = {.title = "MNIST",
                 .below_root = {"mnist"},
                 .defaults = {"data/mnist", "data", "/usr/share/datasets/mnist"},
                 .remedy = "put its four files (train- and t10k-, images and labels, gzipped or not) in data/mnist, or "
                           "set data.root to their folder"},
      .class_names = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"},
      .mean = 0.1307F,
      .std = 0.3081F};
  return std::make_unique<IdxImages>(kind, config, split);
}

const DatasetRegistry::Registration registered{"mnist", "MNIST: 28x28 grey, 10 handwritten digits", make_mnist,
                                               __FILE__};

}  // namespace
}  // namespace trainyard
