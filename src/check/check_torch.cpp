#include "check/check.h"

#include <cmath>
#include <cstdlib>
#include <utility>

#include <fmt/format.h>

#include "check/device.h"
#include "check/gather.h"
#include "check/gather_process.h"
#include "check/probe_process.h"
#include "check/rules.h"

namespace trainyard {
namespace {

// Everything that needs CUDA's libraries. Reading LibTorch's settings counts the GPUs, which initializes the driver.
void gather_cuda(Facts& facts, const Needs& needs, bool names) {
  facts.torch = gather_torch();
  if (needs.device != "cpu") gather_driver(facts.driver, facts.devices, names);
  const char* search_path = std::getenv("LD_LIBRARY_PATH");
  facts.libraries = gather_libraries(search_path ? search_path : "");
}

// As the run does next, but while the process that keeps the driver initialized still lives.
void initialize_driver() {
  // Read by cuInit. By default all streams share 8 queues, and what waits in one for the step keeps nvJPEG, which uses
  // 14 streams, from decoding the next batch beside the step.
  setenv("CUDA_DEVICE_MAX_CONNECTIONS", "32", /*overwrite=*/0);
  DriverFacts driver;
  std::vector<DeviceFacts> devices;
  gather_libcuda(driver, devices);
}

std::vector<ProbeProcess> start_gpu_probes(const Facts& facts, const Needs& needs, const CheckOptions& options) {
  std::vector<ProbeProcess> processes;
  if (needs.device == "cpu" || !facts.torch.cuda_linked) return processes;
  for (const DeviceFacts& device : facts.devices) {
    if (!rules::is_wanted(needs, device.index) || !device.error.empty()) continue;
    processes.emplace_back(
        fmt::format("cuda:{}", device.index),
        [&](const ProbeListener& listener) { options.gpu_probes({device.index}, options.full, listener); },
        options.limit);
  }
  return processes;
}

void finish(ProbeProcess& process, Facts& facts) {
  for (ProbeFacts& probe : process.finish()) facts.probes.push_back(std::move(probe));
}

// Probes the GPUs that work alone together. Runs after the other probes, so that a broken GPU does not fail them too.
void probe_group(Facts& facts, const Needs& needs, const CheckOptions& options) {
  if (!options.full) return;
  const std::vector<int> devices = usable_devices(facts, needs);
  if (devices.size() < 2) return;
  ProbeProcess process(
      "gpus", [&](const ProbeListener& listener) { options.gpu_probes(devices, options.full, listener); },
      options.limit);
  finish(process, facts);
}

}  // namespace

CheckResult run_check(const Needs& wanted, const CheckOptions& options) {
  check_device_name(wanted.device);
  Facts facts;
  // Gathered before the probes start, so that their memory is not attributed to another process.
  std::optional<GatherProcess> cuda;
  std::optional<ProcessFailure> failure = options.driver_failure;
  if (!failure) {
    cuda.emplace("check of CUDA", [&](Facts& found) { gather_cuda(found, wanted, options.names); }, options.limit);
    failure = cuda->read(facts);
  }
  if (failure) {
    facts.probes.push_back({rules::driver_device, "start", failure->outcome, failure->message, 0, std::nan("")});
  }
  const Needs needs = needs_of_local_rank(wanted, facts.devices);
  auto processes = start_gpu_probes(facts, needs, options);
  facts.host = gather_host(options.names);
  facts.shared_memory = gather_shared_memory("/dev/shm", needs.shared_memory);
  facts.limits = gather_limits();
  facts.folders = gather_folders(needs, options.data_error, options.saving_error);
  facts.environment = gather_environment();
  run_probes("cpu", options.full,
             {[](const std::string&) {}, [&](const ProbeFacts& probe) { facts.probes.push_back(probe); }});
  for (ProbeProcess& process : processes) finish(process, facts);
  probe_group(facts, needs, options);
  if (!usable_devices(facts, needs).empty()) initialize_driver();  // only now: a GPU that hangs may block it
  return judge(std::move(facts), needs);
}

void run_gpu_probes(const std::vector<int>& devices, bool full, const ProbeListener& listener) {
  if (devices.size() == 1) {
    run_probes(fmt::format("cuda:{}", devices[0]), full, listener);
  } else {
    run_group_probes(devices, listener);
  }
}

}  // namespace trainyard
