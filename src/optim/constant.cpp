// A constant learning rate: the peak.

#include "optim/schedule.h"

namespace trainyard {
namespace {

const ScheduleRegistry::Registration registered{
    "constant", "the peak rate throughout",
    [](const ScheduleConfig&) -> Schedule { return [](const ScheduleStep& at) { return at.peak; }; }, __FILE__};

}  // namespace
}  // namespace trainyard
