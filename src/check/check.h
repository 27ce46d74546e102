/// The whole check, from facts to verdict: what `trainyard check` and the start of `train` call.
///
///     gather.h ─ facts.h ─▶ diagnose.h ─ findings ─▶ render.h
///     probes.h ─┘ (GPU probes through probe_process.h)
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "check/diagnose.h"
#include "check/facts.h"
#include "util/error.h"

namespace trainyard {

struct CheckOptions {
  bool full = false;                       ///< more probes: memory, copies, several GPUs together
  bool names = false;                      ///< gather the names of host and user and the cards' serial numbers too
  std::string data_error;                  ///< why the configured dataset cannot be read; empty: it can, or not tried
  std::string saving_error;                ///< why a checkpoint cannot be saved in run.dir; empty: it can, or not tried
  std::string program = "/proc/self/exe";  ///< run as `program check --probe N [--full]` for each GPU
  std::chrono::milliseconds limit{60'000};  ///< of each GPU's probes; GPUs are probed at the same time
};

struct CheckResult {
  Needs needs;
  Facts facts;
  std::vector<Finding> findings;  ///< as `diagnose` orders them
};

/// Gathers, probes and diagnoses. Call it before CUDA is used in this process, from one thread, with all workers
/// already forked. GPUs that `needs.device` rules out, and those of other local ranks, are not probed; the result has
/// the needs of this local rank. Throws UsageError for a bad `needs.device` and MachineError for a host with fewer GPUs
/// than local ranks; otherwise a machine that is not fit is no exception but a finding. (check_torch.cpp)
CheckResult run_check(const Needs& needs, const CheckOptions& options = {});

/// Diagnoses facts from elsewhere, e.g. from recorded_from_json. The result holds texts that can be shown anywhere
/// (facts_text.h).
CheckResult judge(Facts facts, const Needs& needs);

/// The needs of a recorded run with what was given now: for each key in `given` ("train.device", "loader.workers", ...)
/// the value of `now`. With other settings of loader or data the shared memory of the recorded run says nothing: then
/// it is 0, not known.
Needs with_given(Needs recorded, const Needs& now, const std::vector<std::string>& given);

/// done, or machine_not_fit where there is an error among the findings.
ExitCode exit_code(const CheckResult& result);

/// Lines of JSON, {"schema", "ready", "verdict", "needs", "facts", "findings"}; the probes are among the facts.
std::string to_json_text(const CheckResult& result);

}  // namespace trainyard
