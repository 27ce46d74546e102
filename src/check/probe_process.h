/// Runs probes in a separate process (forked_process.h), so that a GPU that crashes or hangs them gives a finding.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "check/facts.h"
#include "check/forked_process.h"
#include "check/probes.h"

namespace trainyard {

/// A running process that probes one device, or several together. Not thread-safe.
class ProbeProcess {
 public:
  /// Starts a process that calls `probes` with a listener to report to. See ForkedProcess for what is required.
  ProbeProcess(std::string device, const std::function<void(const ProbeListener&)>& probes,
               std::chrono::milliseconds limit);

  /// Waits for the process until `limit` after its start, then kills it. Returns the completed probes; the probe during
  /// which the process died or was killed is "crashed" or "hung".
  std::vector<ProbeFacts> finish();

 private:
  std::string device_;
  ForkedProcess process_;
};

}  // namespace trainyard
