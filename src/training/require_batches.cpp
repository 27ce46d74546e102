#include "training/require_batches.h"

#include "models/check_forward.h"
#include "util/count_of.h"
#include "util/error.h"

namespace trainyard {

void require_batches(const Config& config, std::uint64_t samples, bool reaches_last, std::int64_t ranks, Model& model,
                     const ModelInput& input) {
  const auto size = static_cast<std::int64_t>(samples);
  const std::int64_t batch_size = config.loader.batch_size;
  if (config.loader.drop_last && size < batch_size) {
    throw UsageError("loader.drop_last",
                     "the training split has {}, fewer than one batch of {}, and loader.drop_last leaves out "
                     "incomplete batches: lower loader.batch_size",
                     count_of(size, "sample"), batch_size);
  }
  const std::int64_t rest = config.loader.drop_last || !reaches_last ? 0 : size % batch_size;
  const std::int64_t smallest = rest == 0 ? batch_size : rest;
  if (config.distributed.sync_batch_norm && smallest < ranks) {
    throw UsageError("distributed.sync_batch_norm",
                     "{} in batches of {} leave a batch of {} for {} ranks, and a rank without samples has no "
                     "statistics: set loader.drop_last = true, or change loader.batch_size",
                     count_of(size, "sample"), batch_size, smallest, ranks);
  }
  const auto has_lone_sample = [&](std::int64_t count) { return count > 0 && count / ranks <= 1; };
  if (!has_lone_sample(batch_size) && !has_lone_sample(rest)) return;
  const std::string failure = failure_on_one_sample(model, input);
  if (failure.empty()) return;
  throw UsageError("loader.batch_size",
                   "{} in batches of {} leave a batch of one sample, on which {} cannot be trained ({}): set "
                   "loader.drop_last = true, or change loader.batch_size",
                   count_of(size, "sample"), batch_size, config.model.name, failure);
}

}  // namespace trainyard
