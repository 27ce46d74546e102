// One-cycle policy: rises to the peak, then falls to almost 0, both along half a cosine (Smith and Topin 2018;
// PyTorch's OneCycleLR).

#include <algorithm>
#include <cmath>
#include <numbers>

#include "config/component.h"
#include "optim/schedule.h"

namespace trainyard {
namespace {

struct OneCycleSettings {
  double pct_start = 0.3;
  double div_factor = 25;
  double final_div_factor = 1e4;

  void declare(SettingTable& table) {
    table.add("pct_start", pct_start, "share of the steps during which the rate rises", number(0, 1), Resume::if_named)
        .formerly("schedule.pct_start");
    table.add("div_factor", div_factor, "peak rate divided by the first rate", number(1, 1e9), Resume::if_named)
        .formerly("schedule.div_factor");
    table
        .add("final_div_factor", final_div_factor, "first rate divided by the last rate", number(1, 1e12),
             Resume::if_named)
        .formerly("schedule.final_div_factor");
  }
};
const ComponentSettings<OneCycleSettings> settings{"schedule.one_cycle", {"one_cycle"}, __FILE__};

// Interpolates from `from` to `to` along half a cosine; progress: 0 to 1.
double anneal(double from, double to, double progress) {
  return to + (from - to) * (1 + std::cos(std::numbers::pi * progress)) / 2;
}

double one_cycle(const OneCycleSettings& s, const ScheduleStep& at) {
  const double first = at.peak / s.div_factor;
  const double top = s.pct_start * at.steps - 1;  // the step with the peak; may be fractional
  if (at.step <= top) return top > 0 ? anneal(first, at.peak, at.step / top) : at.peak;
  const double turn = std::max(top, 0.0);
  const double progress = at.steps - 1 > turn ? (at.step - turn) / (at.steps - 1 - turn) : 0;
  return anneal(at.peak, first / s.final_div_factor, progress);
}

const ScheduleRegistry::Registration registered{
    "one_cycle", "up to the peak and down to almost 0, like torch's OneCycleLR",
    [](const ScheduleConfig& config) -> Schedule {
      return [s = settings.in(config)](const ScheduleStep& at) { return one_cycle(s, at); };
    },
    __FILE__};

}  // namespace
}  // namespace trainyard
