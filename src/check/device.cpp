#include "check/device.h"

#include "check/rules.h"
#include "util/error.h"

namespace trainyard {
void check_device_name(const std::string& text) {
  Needs needs;
  needs.device = text;
  if (text == "auto" || text == "cpu" || text == "cuda" || rules::wanted_index(needs)) return;
  throw UsageError("config", "train.device = '{}'; allowed are auto, cpu, cuda and cuda:N as in cuda:0", text);
}

Device resolve_device(const Needs& needs, const Facts& facts) {
  check_device_name(needs.device);
  if (needs.device == "cpu") return {};
  if (const auto usable = usable_devices(facts, needs); !usable.empty()) return {true, usable.front()};
  if (needs.device == "auto") return {};
  // A GPU asked for by name and not usable is an error, and findings about GPUs come first.
  throw MachineError("check", "train.device = {}: {}", needs.device, sentence(diagnose(facts, needs).at(0)));
}

}  // namespace trainyard
