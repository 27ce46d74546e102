#include "check/visible_gpus.h"

#include <utility>

#include "check/gather.h"
#include "check/gather_process.h"

namespace trainyard {

VisibleGpus visible_gpus() {
  constexpr std::chrono::milliseconds limit{60'000};
  GatherProcess process("count of GPUs", [](Facts& facts) { gather_libcuda(facts.driver, facts.devices); }, limit);
  Facts facts;
  auto failure = process.read(facts);
  return {.gpus = std::move(facts.devices), .failure = std::move(failure)};
}

}  // namespace trainyard
