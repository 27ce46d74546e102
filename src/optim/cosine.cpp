// Cosine annealing from the peak to schedule.cosine.final × peak, once or in cycles of equal length, each of which
// starts at the peak again (SGDR, Loshchilov and Hutter 2017; PyTorch's CosineAnnealingWarmRestarts with T_mult = 1).

#include <cmath>
#include <numbers>

#include "config/component.h"
#include "optim/schedule.h"

namespace trainyard {
namespace {

struct CosineSettings {
  double final = 0;
  int cycles = 1;

  void declare(SettingTable& table) {
    table.add("final", final, "final learning rate, as a share of optimizer.lr", number(0, 1), Resume::if_named);
    table.add("cycles", cycles, "cycles of equal length, each from the peak; above 1: warm restarts",
              whole(1, 1'000'000), Resume::if_named);
  }
};
const ComponentSettings<CosineSettings> settings{"schedule.cosine", {"cosine"}, __FILE__};

const ScheduleRegistry::Registration registered{
    "cosine", "from the peak along half a cosine to 0 or to a share of it; may restart",
    [](const ScheduleConfig& config) -> Schedule {
      return [s = settings.in(config)](const ScheduleStep& at) {
        const double progress = std::fmod(s.cycles * at.step / at.steps, 1);  // in the cycle
        const double height = (1 + std::cos(std::numbers::pi * progress)) / 2;
        return at.peak * (s.final + (1 - s.final) * height);
      };
    },
    __FILE__};

}  // namespace
}  // namespace trainyard
