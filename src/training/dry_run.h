/// A look at a run before it is trained.
#pragma once

#include <filesystem>
#include <string>

#include "config/config.h"
#include "loader/worker_pool.h"
#include "util/torch.h"

namespace trainyard {

/// Makes the model and does one real step with it on the first batch. Returns what it found, as lines for people: the
/// model's parameters, the optimizer's state, the step's peak memory, the batch, what its checkpoints take. Throws what
/// prove_saving() throws if they could not be saved. Writes the batch's samples, as the
/// model gets them but for the normalisation, to `run`/batch.png.
std::string dry_run(const Config& config, WorkerPool& pool, at::Device device, const std::filesystem::path& run);

}  // namespace trainyard
