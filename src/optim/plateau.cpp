// Reduction on a plateau: multiplies the learning rate by a factor whenever the monitored metric on val has not
// improved for more than schedule.plateau.patience epochs (PyTorch's ReduceLROnPlateau).

#include <algorithm>
#include <cmath>
#include <optional>

#include "config/component.h"
#include "optim/schedule.h"

namespace trainyard {
namespace {

struct PlateauSettings {
  double factor = 0.1;
  int patience = 10;
  double threshold = 1e-4;
  double final = 0;

  void declare(SettingTable& table) {
    table.add("factor", factor, "factor of a reduction", number(0, 0.999999), Resume::if_named);
    table.add("patience", patience, "epochs without improvement on val that are tolerated; the next one reduces",
              whole(0, 1'000'000), Resume::if_named);
    table.add("threshold", threshold, "least improvement that counts, as a share of the best value", number(0, 1),
              Resume::if_named);
    table.add("final", final, "lowest learning rate, as a share of optimizer.lr", number(0, 1), Resume::if_named);
  }
};
const ComponentSettings<PlateauSettings> settings{"schedule.plateau", {"plateau"}, __FILE__};

// NaN never improves. The threshold is a share of the magnitude, because R² may be negative.
bool improves(double value, std::optional<double> best, double threshold, bool higher_is_better) {
  if (!best) return !std::isnan(value);
  const double least = threshold * std::abs(*best);
  return higher_is_better ? value > *best + least : value < *best - least;
}

double plateau(const PlateauSettings& s, const ScheduleStep& at) {
  double rate = at.peak;
  std::optional<double> best;
  int epochs_without = 0;
  for (const double value : at.val) {
    if (improves(value, best, s.threshold, at.higher_is_better)) {
      best = value;
      epochs_without = 0;
    } else if (++epochs_without > s.patience) {
      rate = std::max(rate * s.factor, s.final * at.peak);
      epochs_without = 0;
    }
  }
  return rate;
}

const ScheduleRegistry::Registration registered{
    "plateau", "drops by a factor when val stops improving, like torch's ReduceLROnPlateau",
    [](const ScheduleConfig& config) -> Schedule {
      return [s = settings.in(config)](const ScheduleStep& at) { return plateau(s, at); };
    },
    __FILE__};

}  // namespace
}  // namespace trainyard
