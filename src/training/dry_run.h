/// Shows what a run will need, without training it.
#pragma once

#include <filesystem>
#include <string>

#include "config/config.h"
#include "loader/worker_pool.h"
#include "util/torch.h"

namespace trainyard {

/// Creates the model and runs one real training step on the first batch. Returns a human-readable summary of several
/// lines: the model's parameters, the optimizer's state, the step's peak memory, the batch, and the size of the
/// checkpoints. Throws what prove_saving() throws if checkpoints could not be saved. Writes the batch's samples, as
/// the model receives them but without normalization, to `run`/batch.png.
std::string dry_run(const Config& config, WorkerPool& pool, at::Device device, const std::filesystem::path& run);

}  // namespace trainyard
