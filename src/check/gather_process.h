/// Gathers facts in a process of its own (forked_process.h): asking CUDA's driver may crash or hang, and initializes
/// it.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "check/facts.h"
#include "check/forked_process.h"

namespace trainyard {

/// While this object lives, so does the process, and the driver stays initialized: without persistence it would
/// initialize the GPUs anew for each process.
class GatherProcess {
 public:
  /// Starts a process that calls `gather` and sends the facts. See ForkedProcess for what is required.
  GatherProcess(const std::string& name, const std::function<void(Facts&)>& gather, std::chrono::milliseconds limit);

  /// Waits for the facts, until `limit` after the start. If there are none, returns why and leaves `facts` as it is.
  std::optional<ProcessFailure> read(Facts& facts);

 private:
  ForkedProcess process_;
};

}  // namespace trainyard
