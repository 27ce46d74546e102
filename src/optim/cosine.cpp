// Cosine annealing from the peak to 0 (Loshchilov and Hutter 2017; one period, no restarts).

#include <cmath>
#include <numbers>

#include "optim/schedule.h"

namespace trainyard {
namespace {

double cosine(const ScheduleStep& at) { return at.peak * (1 + std::cos(std::numbers::pi * (at.step / at.steps))) / 2; }

const ScheduleRegistry::Registration registered{"cosine", "from the peak to 0 along half a cosine",
                                                [](const ScheduleConfig&) -> Schedule { return cosine; }, __FILE__};

}  // namespace
}  // namespace trainyard
