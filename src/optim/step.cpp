// Step decay: peak × gamma^k with k = floor(epochs since the warm-up / schedule.step.epochs).

#include <cmath>

#include "config/component.h"
#include "optim/schedule.h"

namespace trainyard {
namespace {

struct StepSettings {
  double epochs = 30;
  double gamma = 0.1;

  void declare(SettingTable& table) {
    table.add("epochs", epochs, "epochs between two drops", number(1e-3, 1e6), Resume::if_named)
        .formerly("schedule.step_epochs");
    table.add("gamma", gamma, "factor of a drop", number(0, 1), Resume::if_named).formerly("schedule.gamma");
  }
};
const ComponentSettings<StepSettings> settings{"schedule.step", {"step"}, __FILE__};

const ScheduleRegistry::Registration registered{
    "step", "drops by a factor every few epochs",
    [](const ScheduleConfig& config) -> Schedule {
      return [s = settings.in(config)](const ScheduleStep& at) {
        return at.peak * std::pow(s.gamma, std::floor(at.step / (s.epochs * at.steps_per_epoch)));
      };
    },
    __FILE__};

}  // namespace
}  // namespace trainyard
