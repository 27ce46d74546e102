#include "commands/machine.h"

#include "check/device.h"
#include "training/precision.h"
#include "util/system.h"

namespace trainyard {

Needs needs_of(const Config& config) {
  Needs needs;
  needs.device = config.train.device;
  needs.precision = config.train.precision;
  needs.workers = config.loader.workers;
  needs.run_dir = config.run.dir;
  needs.data_root = config.data.root;
  return needs;
}

at::Device prepare_device(const Config& config, const CheckResult& check) {
  const at::Device device(resolve_device(check.needs, check.facts).name());
  at::set_num_threads(config.train.threads > 0 ? config.train.threads : usable_cores());
  set_float32_arithmetic(config.train.precision);
  at::globalContext().setBenchmarkCuDNN(true);  // shapes stay the same: measure the convolutions once
  if (config.train.deterministic) set_deterministic();
  return device;
}

}  // namespace trainyard
