/// The figures of a regression, and what eval, the report and predict show of it.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "datasets/column.h"
#include "tasks/findings.h"
#include "tasks/task.h"

namespace trainyard {

/// How near the predictions of one target are, in its own units.
struct TargetFigures {
  double mae = 0;   ///< mean absolute error
  double rmse = 0;  ///< root of the mean squared error
  double r2 = 0;    ///< share of the target's variance that is explained, as scikit-learn's r2_score: at most 1
};

/// `sums`: of standardized predictions and targets over all samples: for each target |error|, then error², target and
/// target², and last the number of samples. A target without variance has the R² of scikit-learn: 1 without an error,
/// otherwise 0.
std::vector<TargetFigures> figures_of(std::span<const double> sums, const std::vector<Column>& targets);

/// Standardized predictions, N × targets, in the targets' own units: float64, on the CPU.
at::Tensor in_own_units(const at::Tensor& logits, const std::vector<Column>& targets);

/// Collects predictions and the field "target"; shows for each target its figures, predictions against targets, the
/// distribution of errors, and the samples with the largest errors in deviations of the target.
std::unique_ptr<Evaluation> regression_evaluation(const std::vector<Column>& targets, std::size_t worst);

/// values: float64, N × targets, on the CPU.
std::vector<Prediction> regression_predictions(const at::Tensor& values, const std::vector<Column>& targets);

}  // namespace trainyard
