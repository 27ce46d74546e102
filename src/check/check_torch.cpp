#include "check/check.h"

#include <cstdio>
#include <cstdlib>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "check/device.h"
#include "check/facts_json.h"
#include "check/gather.h"
#include "check/probe_process.h"
#include "check/probes.h"
#include "check/rules.h"
#include "util/json_text.h"

namespace trainyard {
namespace {

std::vector<std::string> probe_command(const CheckOptions& options, const std::vector<int>& devices) {
  std::vector<std::string> command = {options.program, "check", "--probe", fmt::format("{}", fmt::join(devices, ","))};
  if (options.full) command.emplace_back("--full");
  return command;
}

std::vector<ProbeProcess> start_gpu_probes(const Facts& facts, const Needs& needs, const CheckOptions& options) {
  std::vector<ProbeProcess> processes;
  if (needs.device == "cpu" || !facts.torch.cuda_linked) return processes;
  for (const DeviceFacts& device : facts.devices) {
    if (!rules::is_wanted(needs, device.index) || !device.error.empty()) continue;
    processes.emplace_back(fmt::format("cuda:{}", device.index), probe_command(options, {device.index}), options.limit);
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
  ProbeProcess process("gpus", probe_command(options, devices), options.limit);
  finish(process, facts);
}

}  // namespace

CheckResult run_check(const Needs& wanted, const CheckOptions& options) {
  check_device_name(wanted.device);
  Facts facts;
  facts.torch = gather_torch();
  // Gathered before the probes start, so that their memory is not attributed to another process.
  if (wanted.device != "cpu") gather_driver(facts.driver, facts.devices, options.names);
  const Needs needs = needs_of_local_rank(wanted, facts.devices);
  auto processes = start_gpu_probes(facts, needs, options);
  facts.host = gather_host(options.names);
  facts.shared_memory = gather_shared_memory("/dev/shm", needs.shared_memory);
  facts.limits = gather_limits();
  facts.folders = gather_folders(needs, options.data_error, options.saving_error);
  facts.environment = gather_environment();
  const char* search_path = std::getenv("LD_LIBRARY_PATH");
  facts.libraries = gather_libraries(search_path ? search_path : "");
  run_probes("cpu", options.full,
             {[](const std::string&) {}, [&](const ProbeFacts& probe) { facts.probes.push_back(probe); }});
  for (ProbeProcess& process : processes) finish(process, facts);
  probe_group(facts, needs, options);
  return judge(std::move(facts), needs);
}

int run_probe_child(const std::vector<int>& devices, bool full, std::FILE* out) {
  const auto line = [out](const std::string& text) {
    fmt::print(out, "{}\n", text);
    std::fflush(out);  // so that a crash can be located
  };
  const ProbeListener listener{[&](const std::string& name) { line("starting " + name); },
                               [&](const ProbeFacts& probe) { line(json_text(probe_to_json(probe))); }};
  if (devices.size() == 1) {
    run_probes(fmt::format("cuda:{}", devices[0]), full, listener);
  } else {
    run_group_probes(devices, listener);
  }
  return 0;
}

}  // namespace trainyard
