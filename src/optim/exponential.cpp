// Exponential decay from the peak to schedule.exponential.final × peak, by the same factor in every step; if final is
// above 1, the learning rate grows.

#include <cmath>

#include "config/component.h"
#include "optim/schedule.h"

namespace trainyard {
namespace {

struct ExponentialSettings {
  double final = 0.01;

  void declare(SettingTable& table) {
    table.add("final", final, "final learning rate, as a share of optimizer.lr; above 1, the rate grows",
              number(1e-12, 1e12), Resume::if_named);
  }
};
const ComponentSettings<ExponentialSettings> settings{"schedule.exponential", {"exponential"}, __FILE__};

const ScheduleRegistry::Registration registered{"exponential", "changes by the same factor in each step",
                                                [](const ScheduleConfig& config) -> Schedule {
                                                  return [s = settings.in(config)](const ScheduleStep& at) {
                                                    return at.peak * std::pow(s.final, at.step / at.steps);
                                                  };
                                                },
                                                __FILE__};

}  // namespace
}  // namespace trainyard
