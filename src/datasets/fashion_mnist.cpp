// Fashion-MNIST: 60,000 and 10,000 grey images of clothing (Xiao, Rasul, Vollgraf: "Fashion-MNIST: a novel image
// dataset for benchmarking machine learning algorithms", 2017).
#include "datasets/fashion_mnist.h"

namespace trainyard {

std::unique_ptr<IdxImages> fashion_mnist(const DataConfig& config, Split split) {
  static const IdxImages::Kind kind{
      .name = "fashion_mnist",
      .places = {.title = "Fashion-MNIST",
                 .below_root = {"fashion-mnist"},
                 .defaults = {"data/fashion-mnist", "data/fashion_mnist", "data", "/usr/share/datasets/fashion-mnist"},
                 .remedy =
                     "install the package dataset-fashion-mnist (apt-get install dataset-fashion-mnist), or put "
                     "its four files (train- and t10k-, images and labels, gzipped or not) in data/fashion-mnist"},
      .class_names = {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
                      "Ankle boot"},
      .mean = 0.2860F,
      .std = 0.3530F};
  return std::make_unique<IdxImages>(kind, config, split);
}

namespace {

std::unique_ptr<Dataset> make_fashion_mnist(const DataConfig& config, Split split) {
  return split == Split::val ? nullptr : fashion_mnist(config, split);
}

const DatasetRegistry::Registration registered{"fashion_mnist", "Fashion-MNIST: 28x28 grey, 10 kinds of clothing",
                                               make_fashion_mnist, __FILE__};

}  // namespace
}  // namespace trainyard
