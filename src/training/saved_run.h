/// What a run's checkpoints hold that is known before its first step.
#pragma once

#include <cstdint>
#include <filesystem>

#include "checkpoint/prove_saving.h"
#include "config/config.h"
#include "loader/split.h"
#include "models/model.h"
#include "optim/optimizer.h"
#include "tasks/task.h"

namespace trainyard {

/// The manifest of the run before its first step.
Manifest manifest_of(const Config& config, const std::vector<SplitInfo>& splits, const Monitor& monitor);

/// How many checkpoints the whole run writes.
std::int64_t saves_of(const Config& config, std::int64_t steps_per_epoch);

/// Proves that a run from the start can save its checkpoints in `checkpoints`; throws as prove_saving() does. `model`
/// and `optimizer` as the run makes them, on any device.
SavingProof prove_saving_of(const Config& config, const std::vector<SplitInfo>& splits, const Monitor& monitor,
                            const Model& model, const Optimizer& optimizer, const std::filesystem::path& checkpoints);

/// Throws UsageError if `config` does not read back from its TOML as it is: a resume would then not know the run again.
void require_readable(const Config& config);

/// "44.8 MiB each, at most 3 at once: 134.4 MiB; 31.0 GiB are free".
std::string described(const SavingProof& proof);

}  // namespace trainyard
