// Fashion-MNIST: 60,000 training and 10,000 test grey images of clothing (Xiao, Rasul, Vollgraf: "Fashion-MNIST: a
// novel image dataset for benchmarking machine learning algorithms", 2017).
#include "datasets/fashion_mnist.h"

#include <algorithm>

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

GarmentImages garment_images(const DataConfig& config, Split split) {
  constexpr std::size_t for_val = 5'000;
  std::unique_ptr<IdxImages> all = fashion_mnist(config, split == Split::test ? Split::test : Split::train);
  const std::size_t size = all->size();
  if (split == Split::test) return {std::move(all), 0, size};
  const std::size_t kept = size > 2 * for_val ? for_val : size / 2;
  if (split == Split::val) return {std::move(all), size - kept, kept};
  return {std::move(all), 0, size - kept};
}

void GarmentImages::draw(RandomStream& random, Sample& sample) const {
  read_sample(*all, first + random.below(count), sample);
}

std::size_t synthetic_samples(std::int64_t of_train, Split split) {
  return static_cast<std::size_t>(split == Split::train ? of_train : std::max<std::int64_t>(of_train / 5, 1));
}

namespace {

std::unique_ptr<Dataset> make_fashion_mnist(const DataConfig& config, Split split) {
  return split == Split::val ? nullptr : fashion_mnist(config, split);
}

const DatasetRegistry::Registration registered{"fashion_mnist", "Fashion-MNIST: 28x28 grey, 10 kinds of clothing",
                                               make_fashion_mnist, __FILE__};

}  // namespace
}  // namespace trainyard
