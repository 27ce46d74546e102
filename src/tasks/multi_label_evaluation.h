/// What eval, predict and the report show of a task whose samples have any number of labels.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tasks/findings.h"
#include "tasks/task.h"

namespace trainyard {

/// For each label average precision, F1, precision and recall over the split, and the `worst` samples: of those with a
/// missed or a wrong label the ones with the greatest binary cross-entropy. A label is given to a sample if its
/// probability is above `threshold`. The outputs have "logits", the batches "labels" (0 or 1), both samples × labels.
std::unique_ptr<Evaluation> multi_label_evaluation(const std::vector<std::string>& class_names, double threshold,
                                                   std::size_t worst);

/// The labels whose probability is above `threshold`, the most probable first. probabilities: samples × labels, on the
/// CPU.
std::vector<Prediction> multi_label_predictions(const at::Tensor& probabilities,
                                                const std::vector<std::string>& class_names, double threshold);

}  // namespace trainyard
