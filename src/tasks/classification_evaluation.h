/// Collects what eval, predict and the report show for a classifier.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tasks/findings.h"
#include "tasks/task.h"

namespace trainyard {

/// Counts the confusions between classes and keeps the `worst` mistakes, those with the greatest cross-entropy.
/// `labels_of` returns the classes of a prepared batch: int64, N.
std::unique_ptr<Evaluation> classification_evaluation(const std::vector<std::string>& class_names,
                                                      std::function<at::Tensor(const TensorDict&)> labels_of,
                                                      std::size_t worst);

/// Returns the `top` most probable classes of each sample. probabilities: N × classes, on the CPU.
std::vector<Prediction> classification_predictions(const at::Tensor& probabilities,
                                                   const std::vector<std::string>& class_names, int top);

}  // namespace trainyard
