/// Computes ranking metrics: how well scores rank the samples of a class above the others.
///
/// scores: float32, samples × classes; positives: the same shape, above 0 if the sample is of the class; both on the
/// CPU. Samples of equal scores share a rank. Results do not depend on the order of the samples.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "util/torch.h"

namespace trainyard {

/// For each class, the sum over the thresholds of (recall - recall at the previous threshold) × precision:
/// scikit-learn's average_precision_score, torchmetrics' AveragePrecision without bins. NaN for a class without
/// positives.
std::vector<double> average_precisions(const at::Tensor& scores, const at::Tensor& positives);

/// For each class, the area under the ROC curve, i.e. the fraction of pairs of a positive and a negative sample in
/// which the positive one has the greater score; equal scores count half. The same as scikit-learn's roc_auc_score and
/// torchmetrics' AUROC. NaN for a class without positives or without negatives.
std::vector<double> roc_aucs(const at::Tensor& scores, const at::Tensor& positives);

/// The mean over the classes whose value is not NaN; nullopt if there is none. The macro averages of scikit-learn and
/// torchmetrics count the other classes as 0.
std::optional<double> macro_average(std::span<const double> of_classes);

}  // namespace trainyard
