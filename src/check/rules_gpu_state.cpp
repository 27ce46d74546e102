#include <numeric>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "check/rules.h"

namespace trainyard::rules {
namespace {

Result gpu_memory_held(const Facts& facts, const Needs&, const DeviceFacts& device) {
  const CardFacts* card = card_of(facts, device);
  if (!card || card->mig || card->process_memory.empty()) return {};
  if (device.memory_free >= device.memory / 2 || device.memory_free < least_free_memory) return {};
  return finding(
      Severity::warning,
      fmt::format("cuda:{} has {} free of {}", device.index, size_text(device.memory_free), size_text(device.memory)),
      fmt::format(
          "{} other processes hold {}", card->process_memory.size(),
          size_text(std::accumulate(card->process_memory.begin(), card->process_memory.end(), std::uint64_t{0}))),
      "if memory runs out: end them (`nvidia-smi` shows them), or use a smaller --loader.batch_size");
}

Result ecc_errors(const Facts& facts, const Needs&, const DeviceFacts& device) {
  const CardFacts* card = card_of(facts, device);
  if (!card || card->ecc_uncorrected == 0) return {};
  return finding(Severity::warning,
                 fmt::format("cuda:{} counts {} uncorrected memory errors", device.index, card->ecc_uncorrected),
                 "its memory is failing; results since the driver was loaded may be wrong",
                 "reset the GPU (`sudo nvidia-smi -r`); if they come back, have it replaced");
}

Result gpu_slowed(const Facts& facts, const Needs&, const DeviceFacts& device) {
  const CardFacts* card = card_of(facts, device);
  if (!card || card->slowed_by.empty()) return {};
  return finding(Severity::warning,
                 fmt::format("cuda:{} runs at lowered clocks: {}", device.index, fmt::join(card->slowed_by, ", ")),
                 "it is too hot, or its power supply limits it",
                 "see to cooling and power; `nvidia-smi -q -d PERFORMANCE` has the details");
}

Result persistence_off(const Facts& facts, const Needs&, const DeviceFacts& device) {
  const CardFacts* card = card_of(facts, device);
  if (!card || card->persistence || facts.host.wsl2) return {};
  return finding(Severity::note, fmt::format("persistence mode is off on cuda:{}", device.index),
                 "the driver starts the GPU anew for every program, which takes a second or more",
                 "on the host: `sudo nvidia-smi -pm 1`");
}

Result precision_unsupported(const Facts&, const Needs& needs, const DeviceFacts& device) {
  if (device.major >= 8 || (needs.precision != "bf16" && needs.precision != "tf32")) return {};
  return finding(Severity::warning,
                 fmt::format("train.precision = {}, which cuda:{} (compute capability {}.{}) has no hardware for",
                             needs.precision, device.index, device.major, device.minor),
                 "it came with compute capability 8.0", "use --train.precision fp32");
}

constexpr DeviceRule table[] = {
    {"gpu-memory-held", gpu_memory_held},
    {"ecc-errors", ecc_errors},
    {"gpu-slowed", gpu_slowed},
    {"persistence-off", persistence_off},
    {"precision-unsupported", precision_unsupported},
};

}  // namespace

std::span<const DeviceRule> gpu_state() { return table; }

}  // namespace trainyard::rules
