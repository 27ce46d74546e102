/// Prepares and checks what a run's checkpoints contain, as far as it is known before the first step.
#pragma once

#include <cstdint>
#include <filesystem>

#include "checkpoint/prove_saving.h"
#include "config/config.h"
#include "loader/split.h"
#include "models/model.h"
#include "optim/optimizer.h"
#include "tasks/task.h"
#include "training/run_plan.h"

namespace trainyard {

/// The manifest of the run before its first step.
Manifest manifest_of(const Config& config, const std::vector<SplitInfo>& splits, const Monitor& monitor);

/// The number of checkpoints that the whole run writes, at most.
std::int64_t saves_of(const Config& config, const RunPlan& plan);

/// Proves that a new run can save its checkpoints in `checkpoints`; throws what prove_saving() throws. `model` and
/// `optimizer` are those of the run, on any device.
SavingProof prove_saving_of(const Config& config, const std::vector<SplitInfo>& splits, const Monitor& monitor,
                            const Model& model, const Optimizer& optimizer, const std::filesystem::path& checkpoints);

/// Throws UsageError if `config`, written as TOML, does not read back unchanged: a resume would then take it for
/// another run.
void require_readable(const Config& config);

/// "44.8 MiB each, at most 3 at once: 134.4 MiB; 31.0 GiB are free".
std::string described(const SavingProof& proof);

}  // namespace trainyard
