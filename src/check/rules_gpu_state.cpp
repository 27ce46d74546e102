#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "check/place.h"
#include "check/rules.h"
#include "util/count_of.h"

namespace trainyard::rules {
namespace {

Result gpu_memory_held(const Facts& facts, const Needs& needs, const DeviceFacts& device) {
  const CardFacts* card = card_of(facts, device);
  if (!card || card->mig || card->processes.empty()) return {};
  if (device.memory_free >= device.memory / 2 || device.memory_free < least_free_memory) return {};
  Remedy remedy(facts, needs);
  remedy.add("if memory runs out, end them (" + on_host(facts) + "`nvidia-smi` shows them)");
  remedy.add("use a smaller --loader.batch_size", {{"loader.batch_size", "1"}});
  return finding(
      Severity::warning,
      fmt::format("cuda:{} has {} free of {}", device.index, size_text(device.memory_free), size_text(device.memory)),
      processes_text(card->processes), remedy);
}

Result ecc_errors(const Facts& facts, const Needs&, const DeviceFacts& device) {
  const CardFacts* card = card_of(facts, device);
  if (!card || (card->ecc_uncorrected == 0 && !card->repair_pending && !card->repair_failed)) return {};
  if (card->repair_failed) {
    return finding(Severity::warning,
                   fmt::format("cuda:{} has broken memory rows and no spare ones left for them", device.index),
                   "its memory is failing; results may be wrong", "have the card replaced; train on another one");
  }
  return finding(
      Severity::warning,
      card->repair_pending
          ? fmt::format("cuda:{} has broken memory that is replaced only at a reset", device.index)
          : fmt::format("cuda:{} counts {}", device.index, count_of(card->ecc_uncorrected, "uncorrected memory error")),
      "its memory is failing; results since the driver was loaded may be wrong",
      reset_gpu(facts) + "; if they come back, have it replaced");
}

Result gpu_slowed(const Facts& facts, const Needs&, const DeviceFacts& device) {
  const CardFacts* card = card_of(facts, device);
  if (!card || card->slowed_by.empty()) return {};
  std::string now;
  if (card->temperature > 0) now = fmt::format("{} °C", card->temperature);
  if (card->power > 0 && card->power_limit > 0) {
    now += fmt::format("{}{:.0f} of {:.0f} W", now.empty() ? "" : ", ", card->power, card->power_limit);
  }
  return finding(Severity::warning,
                 fmt::format("cuda:{} runs at lowered clocks: {}", device.index, fmt::join(card->slowed_by, ", ")),
                 "it is too hot, or its power supply limits it" + (now.empty() ? "" : " (now " + now + ")"),
                 "see to cooling and power; `nvidia-smi -q -d PERFORMANCE` has the details");
}

Result persistence_off(const Facts& facts, const Needs&, const DeviceFacts& device) {
  const CardFacts* card = card_of(facts, device);
  if (!card || card->persistence || facts.host.wsl2) return {};
  return finding(Severity::note, fmt::format("persistence mode is off on cuda:{}", device.index),
                 "the driver starts the GPU anew for every program, which takes a second or more",
                 on_host(facts) + "`sudo nvidia-smi -pm 1`");
}

// A link with fewer lanes than supported, or copies far slower than any link.
Result slow_link(const Facts& facts, const Needs&, const DeviceFacts& device) {
  constexpr double least_rate = 2e9;
  const CardFacts* card = card_of(facts, device);
  const bool narrow = card && card->pcie_width > 0 && card->pcie_width < card->pcie_width_most;
  const std::string name = fmt::format("cuda:{}", device.index);
  const auto slow = std::find_if(facts.probes.begin(), facts.probes.end(), [&](const ProbeFacts& probe) {
    return probe.device == name && probe.name == "copy pinned" && probe.bytes_per_second > 0 &&
           probe.bytes_per_second < least_rate;
  });
  if (slow != facts.probes.end()) {
    return finding(Severity::warning,
                   fmt::format("{} gets {:.1f} GB/s from the host's memory", name, slow->bytes_per_second / 1e9),
                   narrow ? fmt::format("its link has {} of {} lanes", card->pcie_width, card->pcie_width_most)
                          : "even an old link gives 3 GB/s: the link is broken, shared or virtual",
                   "seat the card in another slot; `nvidia-smi -q | grep -A 9 'GPU Link Info'` shows the link");
  }
  if (!narrow) return {};
  return finding(
      Severity::note,
      fmt::format("{} is linked by {} of {} PCI Express lanes", name, card->pcie_width, card->pcie_width_most),
      "the slot has no more, or the card sits badly", "if training waits for its data: try another slot");
}

Result precision_unsupported(const Facts& facts, const Needs& needs, const DeviceFacts& device) {
  const bool wanted = needs.precision == "bf16" || needs.precision == "tf32";
  if (!wanted || device.major == 0 || device.major >= 8) return {};
  Remedy remedy(facts, needs);
  remedy.add("use --train.precision fp32", {{"train.precision", "fp32"}});
  return finding(Severity::warning,
                 fmt::format("train.precision = {}, which cuda:{} (compute capability {}.{}) has no hardware for",
                             needs.precision, device.index, device.major, device.minor),
                 "it came with compute capability 8.0", remedy);
}

constexpr DeviceRule table[] = {
    {"gpu-memory-held", gpu_memory_held}, {"ecc-errors", ecc_errors},
    {"gpu-slowed", gpu_slowed},           {"slow-link", slow_link},
    {"persistence-off", persistence_off}, {"precision-unsupported", precision_unsupported},
};

}  // namespace

std::span<const DeviceRule> gpu_state() { return table; }

}  // namespace trainyard::rules
