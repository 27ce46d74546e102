// Cosine annealing from the peak to schedule.cosine.final × peak (Loshchilov and Hutter 2017; one period, no restarts).

#include <cmath>
#include <numbers>

#include "config/component.h"
#include "optim/schedule.h"

namespace trainyard {
namespace {

struct CosineSettings {
  double final = 0;

  void declare(SettingTable& table) {
    table.add("final", final, "final learning rate, as a share of optimizer.lr", number(0, 1), Resume::if_named);
  }
};
const ComponentSettings<CosineSettings> settings{"schedule.cosine", {"cosine"}, __FILE__};

const ScheduleRegistry::Registration registered{
    "cosine", "from the peak along half a cosine to 0, or to a share of the peak",
    [](const ScheduleConfig& config) -> Schedule {
      return [s = settings.in(config)](const ScheduleStep& at) {
        const double height = (1 + std::cos(std::numbers::pi * (at.step / at.steps))) / 2;
        return at.peak * (s.final + (1 - s.final) * height);
      };
    },
    __FILE__};

}  // namespace
}  // namespace trainyard
