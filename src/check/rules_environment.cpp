// Environment variables that silently change which GPUs CUDA shows, how fast they are or what they compute.
#include <algorithm>

#include <fmt/format.h>

#include "check/place.h"
#include "check/rules.h"
#include "check/visible_devices.h"

namespace trainyard::rules {
namespace {

constexpr auto warning = Severity::warning;

Result unset(const Facts& facts, const Needs& needs, const std::string& name, const std::string& value,
             std::string why) {
  Remedy remedy(facts, needs);
  remedy.add("unset " + name, {{"env." + name, ""}});
  return finding(warning, name + (value.empty() ? " is set" : "=" + value), std::move(why), remedy);
}

bool any_mig(const Facts& facts) {
  return std::any_of(facts.driver.cards.begin(), facts.driver.cards.end(),
                     [](const CardFacts& card) { return card.mig; });
}

// CUDA uses the entries before the first invalid one and silently ignores the rest.
Result visible_devices_cut(const Facts& facts, const Needs& needs) {
  const std::string* value = variable(facts, "CUDA_VISIBLE_DEVICES");
  const std::size_t count = facts.devices.size();
  if (!value || count == 0) return {};
  const std::vector<std::string> entries = visible_entries(*value);
  // "0,1," and "0;1": an empty entry at the end loses nothing; "0;1" is one entry, of which CUDA reads the 0.
  const bool ends_empty = entries.back().empty() && value->find_last_not_of(", \t") < value->find_last_of(',');
  const std::size_t named = entries.size() - (ends_empty ? 1 : 0);
  const auto unread = std::find_if(entries.begin(), entries.end(), [](const std::string& entry) {
    return entry_index(entry) >= 0 && entry.find_first_not_of("+0123456789") != std::string::npos;
  });
  if (named <= count && unread == entries.end()) return {};
  std::string why;
  if (named > count) {
    why = entry_fault(entries, count);
    if (why.empty()) {
      const bool mig = entries[count].starts_with("MIG-") && any_mig(facts);
      why = mig ? "CUDA uses one MIG instance in a process"
                : fmt::format("{} is not here, and what follows it is left out", entries[count]);
    }
  } else {
    why = fmt::format("{} is read as {}; entries are separated by commas", *unread, entry_index(*unread));
  }
  Remedy remedy(facts, needs);
  remedy.add("correct CUDA_VISIBLE_DEVICES: `nvidia-smi -L` lists indices and UUIDs");
  return finding(
      warning, fmt::format("CUDA_VISIBLE_DEVICES={} shows {} GPU{}", *value, count, count == 1 ? " alone" : "s alone"),
      std::move(why), remedy);
}

// GPUs that are available to this machine or container but not shown by CUDA.
Result fewer_gpus(const Facts& facts, const Needs&) {
  const std::size_t count = facts.devices.size();
  if (count == 0 || variable(facts, "CUDA_VISIBLE_DEVICES") || any_mig(facts)) return {};
  std::size_t given = std::max(facts.driver.cards.size(), static_cast<std::size_t>(gpu_nodes(facts)));
  std::string by = "the driver and its device files show that many";
  const std::string* passed = variable(facts, "NVIDIA_VISIBLE_DEVICES");
  if (in_container(facts) && passed && !passed->empty() && *passed != "all" && *passed != "void" && *passed != "none") {
    const auto listed = static_cast<std::size_t>(std::count(passed->begin(), passed->end(), ',')) + 1;
    if (listed > given) by = fmt::format("the container was started with NVIDIA_VISIBLE_DEVICES={}", *passed);
    given = std::max(given, listed);
  }
  if (given <= count) return {};
  return finding(warning, fmt::format("CUDA shows {} of {} GPUs", count, given), std::move(by),
                 "`nvidia-smi -L` shows which is missing; " + kernel_log(facts, "xid") + "; " + reset_gpu(facts));
}

Result launch_blocking(const Facts& facts, const Needs& needs) {
  const std::string* value = variable(facts, "CUDA_LAUNCH_BLOCKING");
  if (facts.devices.empty() || !value || value->empty() || *value == "0") return {};
  return unset(facts, needs, "CUDA_LAUNCH_BLOCKING", *value,
               "every kernel is waited for: right for finding a fault, slow for training");
}

Result one_connection(const Facts& facts, const Needs& needs) {
  const std::string* value = variable(facts, "CUDA_DEVICE_MAX_CONNECTIONS");
  if (facts.devices.empty() || !value || *value != "1") return {};
  return unset(facts, needs, "CUDA_DEVICE_MAX_CONNECTIONS", *value,
               "all streams share one queue: copies to the GPU wait for its kernels");
}

Result memory_caching_off(const Facts& facts, const Needs& needs) {
  const std::string* value = variable(facts, "PYTORCH_NO_CUDA_MEMORY_CACHING");
  if (facts.devices.empty() || !value) return {};
  return unset(
      facts, needs, "PYTORCH_NO_CUDA_MEMORY_CACHING", *value,
      "LibTorch then asks the driver for every tensor's memory, which stops the GPU each time; any value does so");
}

Result tf32_override(const Facts& facts, const Needs& needs) {
  const std::string* value = variable(facts, "NVIDIA_TF32_OVERRIDE");
  if (facts.devices.empty() || !value) return {};
  const bool off = *value == "0" && needs.precision == "tf32";
  const bool on = *value == "1" && needs.precision == "fp32";
  if (!off && !on) return {};
  return unset(facts, needs, "NVIDIA_TF32_OVERRIDE", *value,
               off ? "it turns TF32 off in NVIDIA's libraries, whatever train.precision says: slower"
                   : "it makes NVIDIA's libraries compute in TF32 (10 bits), whatever train.precision says");
}

// Preloading an allocator is legitimate.
Result preloaded_library(const Facts& facts, const Needs& needs) {
  const std::string* value = variable(facts, "LD_PRELOAD");
  if (!value || value->find_first_not_of(" :") == std::string::npos) return {};
  for (const char* known : {"jemalloc", "tcmalloc", "mimalloc"}) {
    if (contains(*value, known)) return {};
  }
  return unset(facts, needs, "LD_PRELOAD", *value,
               "a library that is loaded first may replace any function of the others");
}

constexpr Rule table[] = {
    {"visible-devices-cut", "gpu", visible_devices_cut},  {"fewer-gpus", "gpu", fewer_gpus},
    {"launch-blocking", "gpu", launch_blocking},          {"one-connection", "gpu", one_connection},
    {"memory-caching-off", "gpu", memory_caching_off},    {"tf32-override", "gpu", tf32_override},
    {"preloaded-library", "libtorch", preloaded_library},
};

}  // namespace

std::span<const Rule> environment() { return table; }

}  // namespace trainyard::rules
