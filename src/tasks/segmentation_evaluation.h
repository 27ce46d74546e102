/// What eval, predict and the report show of a segmentation.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tasks/findings.h"
#include "tasks/task.h"

namespace trainyard {

// Of a confusion matrix, row by row, of classes × classes numbers of pixels.

/// Intersection over union, the mean over the classes that labels or guesses have; 0 without any.
double mean_iou(std::span<const double> confusion, std::int64_t classes);
/// Share of the pixels that are right; 0 without any.
double pixel_accuracy(std::span<const double> confusion, std::int64_t classes);

/// Intersection over union of each class over all pixels of the split, and the `worst` samples: those with the lowest
/// mean of their own. Their pictures show image, mask and guess side by side.
std::unique_ptr<Evaluation> segmentation_evaluation(const std::vector<std::string>& class_names, std::size_t worst);

/// masks: int64, N × height × width.
std::vector<Prediction> segmentation_predictions(const at::Tensor& masks, const std::vector<std::string>& class_names);

}  // namespace trainyard
