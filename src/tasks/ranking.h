/// Metrics of rankings: how well scores order the samples of a class before the others.
///
/// scores: float32, samples × classes; positives: the same shape, above 0 where the sample is of the class; both on the
/// CPU. Samples of equal scores share a place. The order in which samples are given changes nothing.
#pragma once

#include <span>
#include <vector>

#include "util/torch.h"

namespace trainyard {

/// For each class the sum over the thresholds of (recall - recall at the threshold before) × precision: scikit-learn's
/// average_precision_score, torchmetrics' AveragePrecision without bins. Not a number for a class without positives.
std::vector<double> average_precisions(const at::Tensor& scores, const at::Tensor& positives);

/// For each class the area under the ROC curve, i.e. the share of pairs of a positive and another sample in which the
/// positive has the greater score, equal scores counting half: scikit-learn's roc_auc_score, torchmetrics' AUROC. Not a
/// number for a class without positives or without others.
std::vector<double> roc_aucs(const at::Tensor& scores, const at::Tensor& positives);

/// The mean over the classes that have a number; 0 if none has. The macro average of scikit-learn and torchmetrics
/// counts the others as 0.
double macro_average(std::span<const double> of_classes);

}  // namespace trainyard
