#include "commands/several_gpus.h"

#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "check/device.h"
#include "check/visible_gpus.h"
#include "distributed/launch.h"
#include "util/device_list.h"
#include "util/error.h"
#include "util/log.h"
#include "util/output.h"
#include "util/printable.h"

namespace trainyard {
namespace {

std::string names_of(const std::vector<DeviceFacts>& gpus) {
  std::vector<std::string> names;
  for (const DeviceFacts& gpu : gpus) names.push_back(fmt::format("cuda:{} {}", gpu.index, gpu.name));
  return fmt::format("{}", fmt::join(names, ", "));
}

void print_gpus(const std::vector<DeviceFacts>& visible, const std::vector<int>& selected, bool listed) {
  std::vector<DeviceFacts> used;
  std::vector<DeviceFacts> left_out;
  for (const DeviceFacts& gpu : visible) {
    const bool is_used = std::find(selected.begin(), selected.end(), gpu.index) != selected.end();
    if (!is_used && !gpu.error.empty()) {
      log_warning("[check] cuda:{} is left out: CUDA does not open it: {}; `trainyard check` says what to do",
                  gpu.index, printable(gpu.error));
      continue;
    }
    (is_used ? used : left_out).push_back(gpu);
  }
  print("gpus    {} processes, one each on {}\n", used.size(), names_of(used));
  if (!listed && !left_out.empty()) {
    print("        left out, being of another kind: {}; a list as --train.device cuda:0,1 may name them, too\n",
          names_of(left_out));
  }
  flush_output();
}

void require_opened(const std::vector<DeviceFacts>& visible, const std::vector<int>& listed) {
  for (const DeviceFacts& gpu : visible) {
    if (gpu.error.empty() || std::find(listed.begin(), listed.end(), gpu.index) == listed.end()) continue;
    throw MachineError("train.device",
                       "lists cuda:{0}, which CUDA does not open: {1}; leave it out, or see `trainyard check "
                       "--train.device cuda:{0}`",
                       gpu.index, printable(gpu.error));
  }
}

}  // namespace

SeveralGpus run_on_several_gpus(const Config& config, bool prints) {
  const std::string& device = config.train.device;
  const auto listed = device_list(device);
  if (device == "cpu" || (listed && listed->size() == 1)) return {};  // no GPUs to count
  const VisibleGpus visible = visible_gpus();
  if (listed) require_opened(visible.gpus, *listed);
  const std::vector<int> selected = selected_gpus(device, visible.gpus);
  if (selected.size() < 2) return {.driver_failure = visible.failure};
  if (prints) print_gpus(visible.gpus, selected, listed.has_value());
  const int processes = static_cast<int>(selected.size());
  return {.exit_code = launch({.processes = processes, .max_restarts = config.distributed.max_restarts})};
}

}  // namespace trainyard
