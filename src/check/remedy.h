/// Builds remedies that know what they change, so that none advises what the facts show to be done already.
#pragma once

#include <string>
#include <vector>

#include "check/diagnose.h"
#include "check/facts.h"

namespace trainyard {

/// Whether the facts show that `change` has already been made; false if they cannot tell. Keys:
///   train.device, train.precision                   the value is the setting's
///   loader.batch_size, loader.workers, train.threads   the value is the most that is advised
///   loader.cache                                    any that keeps no samples on the GPU
///   libtorch.cuda                                   the CUDA version that LibTorch was built for
///   driver, driver.most                             the oldest, the newest branch of the driver
///   container.ipc                                   "host"
///   shared_memory                                   the minimum bytes of /dev/shm
///   limits.open_files, limits.processes, limits.address_space   the minimum, or "unlimited"
///   env.NAME                                        the variable's value; empty: not set
/// Throws std::logic_error for another key.
bool already_applied(const Change& change, const Facts& facts, const Needs& needs);

/// Collects the alternatives that fix a failure, without those that have already been applied.
class Remedy {
 public:
  Remedy(const Facts& facts, const Needs& needs) : facts_(facts), needs_(needs) {}

  /// Adds an alternative in words, unless one of its changes has already been made.
  Remedy& add(const std::string& words, const std::vector<Change>& changes = {});

  bool empty() const { return words_.empty(); }
  const std::string& words() const { return words_; }
  const std::vector<Change>& changes() const { return changes_; }

 private:
  const Facts& facts_;
  const Needs& needs_;
  std::string words_;
  std::vector<Change> changes_;
};

}  // namespace trainyard
