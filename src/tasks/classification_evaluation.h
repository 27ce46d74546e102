/// What eval, predict and the report show of a classifier.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tasks/findings.h"
#include "tasks/task.h"

namespace trainyard {

/// Counts what each class was taken for, and keeps the `worst` mistakes: those with the greatest cross-entropy.
/// `labels_of` returns the classes of a prepared batch: int64, N.
std::unique_ptr<Evaluation> classification_evaluation(const std::vector<std::string>& class_names,
                                                      std::function<at::Tensor(const TensorDict&)> labels_of,
                                                      std::size_t worst);

/// probabilities: N × classes on the CPU. The `top` likeliest classes of each.
std::vector<Prediction> classification_predictions(const at::Tensor& probabilities,
                                                   const std::vector<std::string>& class_names, int top);

}  // namespace trainyard
