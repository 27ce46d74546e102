/// Computes the metrics of a regression and collects what eval, the report and predict show for it.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "datasets/column.h"
#include "tasks/findings.h"
#include "tasks/task.h"

namespace trainyard {

/// The errors of the predictions of one target, in the target's units.
struct TargetFigures {
  double mae = 0;            ///< mean absolute error
  double rmse = 0;           ///< root mean squared error
  double r2 = 0;             ///< coefficient of determination, as scikit-learn's r2_score: at most 1
  bool is_constant = false;  ///< the target has no variance
};

/// sums: over all samples, of standardized predictions and targets: |error| of each target, then error² of each, target
/// and target², and finally the number of samples; empty if that is 0. For a target without variance R² is that of
/// scikit-learn: 1 if there is no error, otherwise 0.
std::vector<TargetFigures> figures_of(std::span<const double> sums, const std::vector<Column>& targets);

/// Converts standardized predictions, N × targets, to the targets' units: float64, on the CPU.
at::Tensor in_own_units(const at::Tensor& logits, const std::vector<Column>& targets);

/// Collects predictions and the field "target". Shows for each target its metrics, predictions against targets and a
/// histogram of the errors, and the samples with the largest errors, in standard deviations of the target.
std::unique_ptr<Evaluation> regression_evaluation(const std::vector<Column>& targets, std::size_t worst);

/// values: float64, N × targets, on the CPU.
std::vector<Prediction> regression_predictions(const at::Tensor& values, const std::vector<Column>& targets);

}  // namespace trainyard
