/// Collects what eval, predict and the report show for a segmentation.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tasks/findings.h"
#include "tasks/task.h"

namespace trainyard {

// confusion: a row-major matrix of classes × classes pixel counts.

/// The mean intersection over union of the classes that occur among labels or guesses; nullopt if none does.
std::optional<double> mean_iou(std::span<const double> confusion, std::int64_t classes);
/// The fraction of correct pixels; nullopt if there are no pixels.
std::optional<double> pixel_accuracy(std::span<const double> confusion, std::int64_t classes);
/// The number of labelled pixels of each class.
std::vector<std::uint64_t> labelled_pixels(std::span<const double> confusion, std::int64_t classes);

/// Computes the intersection over union of each class over all pixels of the split, and keeps the `worst` samples,
/// those with the lowest mean IoU of a single sample. They are shown as image, mask and guess side by side.
std::unique_ptr<Evaluation> segmentation_evaluation(const std::vector<std::string>& class_names, std::size_t worst);

/// masks: int64, N × height × width.
std::vector<Prediction> segmentation_predictions(const at::Tensor& masks, const std::vector<std::string>& class_names);

}  // namespace trainyard
