#include "check/device.h"

#include <algorithm>

#include "util/device_list.h"
#include "util/error.h"

namespace trainyard {

void check_device_name(const std::string& text) {
  if (text == "auto" || text == "cpu" || text == "cuda" || device_list(text)) return;
  throw UsageError("config", "train.device = '{}'; allowed are auto, cpu, cuda, cuda:1, and a list as cuda:0,2", text);
}

std::vector<int> selected_gpus(const std::string& device, const std::vector<DeviceFacts>& visible) {
  std::vector<int> selected;
  if (const auto listed = device_list(device)) {
    const auto is_visible = [&](int index) {
      return std::any_of(visible.begin(), visible.end(), [&](const DeviceFacts& each) { return each.index == index; });
    };
    if (std::all_of(listed->begin(), listed->end(), is_visible)) selected = *listed;
  } else if (device != "cpu") {
    const DeviceFacts* first = nullptr;
    for (const DeviceFacts& each : visible) {
      if (!each.error.empty()) continue;
      if (first == nullptr) first = &each;
      if (each.name == first->name) selected.push_back(each.index);
    }
  }
  return selected;
}

Needs needs_of_local_rank(Needs needs, const std::vector<DeviceFacts>& visible) {
  if (needs.local_world_size == 1 || needs.device == "cpu" || visible.empty()) return needs;
  const std::vector<int> selected = selected_gpus(needs.device, visible);
  const auto gpus = static_cast<int>(selected.size());
  if (gpus == 0) return needs;  // the check reports which one is missing
  if (gpus < needs.local_world_size) {
    throw MachineError("check",
                       "{} processes of this run are on this host, and train.device = {} means {} of its GPUs; each "
                       "process needs one: start at most {} per host",
                       needs.local_world_size, needs.device, gpus, gpus);
  }
  needs.device = Device{true, selected[static_cast<std::size_t>(needs.local_rank)]}.name();
  return needs;
}

Device resolve_device(const Needs& needs, const Facts& facts) {
  check_device_name(needs.device);
  if (needs.device == "cpu") return {};
  if (const auto usable = usable_devices(facts, needs); !usable.empty()) return {true, usable.front()};
  if (needs.device == "auto") return {};
  // A GPU that is requested by name but not usable is an error, and findings about GPUs come first.
  throw MachineError("check", "train.device = {}: {}", needs.device, sentence(diagnose(facts, needs).at(0)));
}

}  // namespace trainyard
