/// Collects what eval, predict and the report show for multi-label classification.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tasks/findings.h"
#include "tasks/task.h"

namespace trainyard {

/// Computes average precision, F1, precision and recall of each label over the split, and keeps the `worst` samples:
/// among those with a missed or a wrong label, the ones with the greatest binary cross-entropy. A label is predicted if
/// its probability is above `threshold`. The outputs have "logits", the batches "labels" (0 or 1), both samples ×
/// labels.
std::unique_ptr<Evaluation> multi_label_evaluation(const std::vector<std::string>& class_names, double threshold,
                                                   std::size_t worst);

/// Returns for each sample the labels whose probability is above `threshold`, the most probable first. probabilities:
/// samples × labels, on the CPU.
std::vector<Prediction> multi_label_predictions(const at::Tensor& probabilities,
                                                const std::vector<std::string>& class_names, double threshold);

}  // namespace trainyard
