#include "commands/machine.h"

#include <algorithm>

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include "check/device.h"
#include "check/probes.h"
#include "loader_torch/resident_split.h"
#include "training/memory.h"
#include "training/precision.h"
#include "util/system.h"
#include "util/text_lines.h"

namespace trainyard {

Needs device_needs_of(const Config& config, const Rank& rank) {
  Needs needs;
  needs.device = config.train.device;
  needs.precision = word(config.train.precision);
  needs.batch_size = config.loader.batch_size;
  needs.keeps_samples = config.loader.cache == SampleCache::gpu;
  needs.threads = config.train.threads;
  needs.local_rank = rank.local_rank;
  needs.local_world_size = rank.local_world_size;
  needs.world_size = rank.world_size;
  return needs;
}

Needs needs_of(const Config& config, const Rank& rank) {
  // Measured on the included configurations: LibTorch with its buffers, and a worker's private pages.
  constexpr std::uint64_t trainer = 1ull << 30;
  constexpr std::uint64_t worker = 32ull << 20;
  Needs needs = device_needs_of(config, rank);
  needs.workers = config.loader.workers;
  needs.memory = trainer + static_cast<std::uint64_t>(config.loader.workers) * worker;
  needs.run_dir = config.run.dir;
  needs.data_root = config.data.root;
  return needs;
}

at::Device prepare_device(const Config& config, const CheckResult& check) {
  const at::Device device(resolve_device(check.needs, check.facts).name());
  if (exit_code(check) != ExitCode::done) throw MachineError("check", "{}", sentence(check.findings.front()));
  const int share = std::max(usable_cores() / check.needs.local_world_size, 1);
  at::set_num_threads(config.train.threads > 0 ? config.train.threads : share);
  if (device.is_cpu()) {
    keep_freed_memory();
    // Before the first backward pass LibTorch would count the GPUs, and hang or crash if CUDA's driver does.
    c10::impl::registerDeviceGuard(at::kCUDA, nullptr);
  } else {
    c10::impl::VirtualGuardImpl(device.type()).setDevice(device);
  }
  set_float32_arithmetic(config.train.precision);
  if (config.train.deterministic) set_deterministic();
  return device;
}

void require_room_for_cache(const Config& config, const std::vector<SplitInfo>& splits, at::Device device,
                            const Rank& rank) {
  if (config.loader.cache != SampleCache::gpu) return;
  if (config.train.device == "cpu") {
    throw UsageError("loader.cache", "gpu needs a GPU, and train.device is cpu; set loader.cache = none or shm");
  }
  if (device.is_cpu()) {
    throw MachineError("loader.cache",
                       "gpu needs a GPU, and there is none to use (train.device = {}); set loader.cache = none or shm",
                       config.train.device);
  }
  if (!has_own_kernels()) {
    throw MachineError(
        "loader.cache",
        "gpu needs Trainyard's own kernels, and this program was built without a CUDA compiler; build it "
        "with one, or set loader.cache = none or shm");
  }
  require_room_for(splits, free_gpu_memory(device), rank.local_world_size);
}

void rethrow_explained(const CheckResult& check, at::Device device, const c10::Error& error) {
  if (device.is_cpu()) throw;
  const std::string words = error.what_without_backtrace();
  const auto found = explain_error(check.facts, check.needs, device.str(), std::string(first_line(words)));
  if (!found) throw;
  throw RunError("training", "{}", sentence(*found));
}

}  // namespace trainyard
