/// What a model makes of a split, sample by sample: more than the training loop needs, what `eval` and `report` show.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "loader_torch/device_loader.h"
#include "models/model.h"

namespace trainyard {

/// A sample taken for another class.
struct Mistake {
  std::int64_t index;        ///< in the split
  std::int64_t label;        ///< what it is
  std::int64_t guess;        ///< what it was taken for
  double guess_probability;  ///< the model's, 0 to 1
  double label_probability;
};

/// Counts and means over every sample of the split, each once.
struct ClassificationReport {
  std::int64_t classes = 0;
  std::int64_t samples = 0;
  double loss = 0;  ///< mean cross-entropy, without label smoothing
  double top1 = 0;  ///< share of samples whose class has the highest score
  double top5 = 0;  ///< share of samples whose class has one of the five highest
  /// How many samples of the first class were taken for the second; pairs that never came are left out.
  std::map<std::pair<std::int64_t, std::int64_t>, std::int64_t> confusion;
  std::vector<Mistake> worst;  ///< those with the greatest loss, greatest first
};

/// Runs `model` in evaluation mode over all of the split of `batches`, which must not be shuffled, and keeps at most
/// `worst` mistakes.
ClassificationReport classification_report(Model& model, DeviceLoader& batches, const Normalize& normalize,
                                           Precision precision, std::size_t worst = 0);

/// One class among the others. A share of nothing is none.
struct ClassScores {
  std::int64_t samples = 0;         ///< of this class
  std::int64_t guesses = 0;         ///< samples taken for it
  std::int64_t right = 0;           ///< both
  std::optional<double> recall;     ///< right / samples
  std::optional<double> precision;  ///< right / guesses
  std::optional<double> f1;         ///< harmonic mean of the two
};

/// One entry a class.
std::vector<ClassScores> class_scores(const ClassificationReport& evaluation);

}  // namespace trainyard
