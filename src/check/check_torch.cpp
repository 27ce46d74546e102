#include "check/check.h"

#include <cstdio>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "check/device.h"
#include "check/facts_json.h"
#include "check/gather.h"
#include "check/probe_process.h"
#include "check/probes.h"
#include "check/rules.h"

namespace trainyard {
namespace {

std::vector<ProbeProcess> start_gpu_probes(const Facts& facts, const Needs& needs, const CheckOptions& options) {
  std::vector<ProbeProcess> processes;
  if (needs.device == "cpu" || !facts.torch.cuda_linked) return processes;
  for (const DeviceFacts& device : facts.devices) {
    if (const auto wanted = rules::wanted_index(needs); wanted && *wanted != device.index) continue;
    std::vector<std::string> command = {options.program, "check", "--probe-device", std::to_string(device.index)};
    if (options.full) command.emplace_back("--full");
    processes.emplace_back(fmt::format("cuda:{}", device.index), command, options.limit);
  }
  return processes;
}

}  // namespace

CheckResult run_check(const Needs& needs, const CheckOptions& options) {
  check_device_name(needs.device);
  Facts facts;
  facts.torch = gather_torch();
  // Before the probes start: their own memory is not to be taken for another's.
  if (needs.device != "cpu") gather_driver(facts.driver, facts.devices);
  auto processes = start_gpu_probes(facts, needs, options);
  facts.host = gather_host();
  facts.shared_memory = gather_shared_memory("/dev/shm", needs.shared_memory);
  facts.limits = gather_limits();
  facts.folders = gather_folders(needs);
  facts.environment = gather_environment();
  run_probes(
      "cpu", options.full, [](const std::string&) {}, [&](const ProbeFacts& probe) { facts.probes.push_back(probe); });
  for (ProbeProcess& process : processes) {
    for (ProbeFacts& probe : process.finish()) facts.probes.push_back(std::move(probe));
  }
  return judge(std::move(facts), needs);
}

int run_probe_child(int device, bool full, std::FILE* out) {
  const auto line = [out](const std::string& text) {
    fmt::print(out, "{}\n", text);
    std::fflush(out);  // so that it is known where a crash was
  };
  run_probes(
      fmt::format("cuda:{}", device), full, [&](const std::string& name) { line("starting " + name); },
      [&](const ProbeFacts& probe) {
        line(probe_to_json(probe).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace));
      });
  return 0;
}

}  // namespace trainyard
