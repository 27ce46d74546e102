/// Computes the weights of classes and of labels in a loss.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "util/torch.h"

namespace trainyard {

/// Returns the weights that the setting `key` with the value `words` specifies: an undefined tensor if `words` is
/// empty; for "balanced", samples / (classes × samples of the class), like scikit-learn's compute_class_weight, from
/// `counts`, and 0 for a class without samples; otherwise `words` has one number per class. float32, on `device`.
/// Throws UsageError that names `key` for anything else, and for "balanced" if `counts` is empty.
at::Tensor class_weights(const std::string& key, const std::vector<std::string>& words, std::int64_t classes,
                         std::span<const std::uint64_t> counts, at::Device device);

/// The same for multi-label samples: the weight of the samples that have a label. "balanced" is (samples without the
/// label) / (samples with it), the pos_weight of PyTorch's BCEWithLogitsLoss, and 0 for a label that no sample has.
/// counts: for each label, how many of `samples` samples have it.
at::Tensor positive_weights(const std::string& key, const std::vector<std::string>& words, std::int64_t classes,
                            std::span<const std::uint64_t> counts, std::uint64_t samples, at::Device device);

}  // namespace trainyard
