/// Remedies that carry what they change, so that none advises what the facts show to be so already.
#pragma once

#include <string>
#include <vector>

#include "check/diagnose.h"
#include "check/facts.h"

namespace trainyard {

/// Whether the facts show that `change` was made before. What the facts do not tell is never so. Keys:
///   train.device, train.precision                   the value is the setting's
///   loader.batch_size, loader.workers               the value is the most that is advised
///   libtorch.cuda                                   the CUDA version that LibTorch was built for
///   driver, driver.most                             the least, the newest branch of the driver
///   container.ipc                                   "host"
///   shared_memory                                   the least bytes of /dev/shm
///   limits.open_files, limits.processes, limits.address_space   the least, or "unlimited"
///   env.NAME                                        the variable's value; empty: not set
/// Throws std::logic_error for another key.
bool is_so(const Change& change, const Facts& facts, const Needs& needs);

/// The ways out of a failure, from which those are left out that are taken already.
class Remedy {
 public:
  Remedy(const Facts& facts, const Needs& needs) : facts_(facts), needs_(needs) {}

  /// Adds a way in words, unless one of its changes is so already.
  Remedy& way(const std::string& words, const std::vector<Change>& changes = {});

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
