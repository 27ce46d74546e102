/// Weights of classes and of labels in a loss.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "util/torch.h"

namespace trainyard {

/// The weights that a setting `key` asks for: none (an undefined tensor) if `words` is empty; with "balanced",
/// samples / (classes × samples of the class), as scikit-learn's compute_class_weight, from `counts`, 0 for a class
/// without samples; otherwise one number for each class. float32, on `device`. Throws UsageError that names `key` for
/// anything else, and for "balanced" if `counts` is empty.
at::Tensor class_weights(const std::string& key, const std::vector<std::string>& words, std::int64_t classes,
                         std::span<const std::uint64_t> counts, at::Device device);

/// The same of labels of which a sample has any number: how much the samples that have a label weigh. "balanced" is
/// (samples without the label) / (samples with it), as pos_weight of PyTorch's BCEWithLogitsLoss, 0 for a label that no
/// sample has. `counts` are those of `samples` samples.
at::Tensor positive_weights(const std::string& key, const std::vector<std::string>& words, std::int64_t classes,
                            std::span<const std::uint64_t> counts, std::uint64_t samples, at::Device device);

}  // namespace trainyard
