#include "check/visible_gpus.h"

#include <string_view>

#include "check/gather.h"
#include "check/gather_process.h"
#include "util/log.h"

namespace trainyard {

std::vector<DeviceFacts> visible_gpus() {
  constexpr std::chrono::milliseconds limit{60'000};
  GatherProcess process("count of GPUs", [](Facts& facts) { gather_libcuda(facts.driver, facts.devices); }, limit);
  Facts facts;
  const auto failure = process.read(facts);
  if (failure && failure->outcome == std::string_view("error")) {
    log_warning(
        "[check] the GPUs cannot be counted: {}; at most one of them is used: see `ulimit -u` and the container's "
        "limit of processes, or name one with --train.device",
        failure->message);
  }
  return facts.devices;
}

}  // namespace trainyard
