/// Runs the whole check, from facts to verdict, for `trainyard check` and the start of `train`.
///
///     gather.h ─ facts.h ─▶ diagnose.h ─ findings ─▶ render.h
///     probes.h ─┘ (all that uses CUDA in processes of its own: forked_process.h, probe_process.h)
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "check/diagnose.h"
#include "check/facts.h"
#include "check/forked_process.h"
#include "check/probes.h"
#include "util/error.h"

namespace trainyard {

struct CheckOptions {
  bool full = false;         ///< more probes: memory, copies, collectives of several GPUs
  bool names = false;        ///< also gather the names of host and user and the cards' serial numbers
  std::string data_error;    ///< why the configured dataset cannot be read; empty: it can, or it was not tried
  std::string saving_error;  ///< why a checkpoint cannot be saved in run.dir; empty: it can, or it was not tried
  /// How the driver has already failed in this run (visible_gpus.h): it is not asked again.
  std::optional<ProcessFailure> driver_failure{};
  GpuProbes gpu_probes = run_gpu_probes;    ///< what the process for each GPU runs; tests pass faulty ones
  std::chrono::milliseconds limit{60'000};  ///< for the driver, and for each GPU's probes, which run in parallel
};

struct CheckResult {
  Needs needs;
  Facts facts;
  std::vector<Finding> findings;  ///< in the order of `diagnose`
};

/// Gathers, probes and diagnoses. Forks, so call it on a single thread and before CUDA is used in this process. GPUs
/// that `needs.device` excludes, and those of other local ranks, are not probed; the result contains the needs of this
/// local rank. Throws UsageError for an invalid `needs.device` and MachineError for a host with fewer GPUs than local
/// ranks; any other problem of the machine is a finding, not an exception. (check_torch.cpp)
CheckResult run_check(const Needs& needs, const CheckOptions& options = {});

/// Diagnoses facts from elsewhere, e.g. from recorded_from_json. The texts in the result are safe to show anywhere
/// (facts_text.h).
CheckResult judge(Facts facts, const Needs& needs);

/// The needs of a recorded run, updated with the settings given now: for each key in `given` ("train.device",
/// "loader.workers", ...) the value from `now`. If settings of loader or data differ, the shared memory of the recorded
/// run no longer applies and is set to 0 (unknown).
Needs with_given(Needs recorded, const Needs& now, const std::vector<std::string>& given);

/// done, or machine_not_fit if there is an error among the findings.
ExitCode exit_code(const CheckResult& result);

/// Lines of JSON, {"schema", "ready", "verdict", "needs", "facts", "findings"}; the probes are part of the facts.
std::string to_json_text(const CheckResult& result);

}  // namespace trainyard
