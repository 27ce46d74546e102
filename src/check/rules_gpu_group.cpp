#include <algorithm>

#include <fmt/format.h>

#include "check/rules.h"

namespace trainyard::rules {
namespace {

const ProbeFacts* group_probe(const Facts& facts, std::string_view name) {
  const auto found = std::find_if(facts.probes.begin(), facts.probes.end(), [&](const ProbeFacts& probe) {
    return probe.device == "gpus" && probe.name == name;
  });
  return found == facts.probes.end() ? nullptr : &*found;
}

Result peer_copy_failed(const Facts& facts, const Needs&) {
  const ProbeFacts* probe = group_probe(facts, "peer copy");
  if (!probe || probe->outcome == "ok") return {};
  return finding(Severity::warning, fmt::format("copies between GPUs fail ({}): {}", probe->outcome, probe->message),
                 "the host's IOMMU or PCI access control redirects what one card sends to another",
                 "train on one GPU, or set NCCL_P2P_DISABLE=1; lastingly: turn the IOMMU (VT-d, AMD-Vi) and ACS off in "
                 "the host's firmware");
}

Result all_reduce_failed(const Facts& facts, const Needs&) {
  const ProbeFacts* probe = group_probe(facts, "all-reduce");
  const bool failed = probe && probe->outcome != "ok";
  if (!failed && !said(facts, "NCCL error") && !said(facts, "ncclInternalError") && !said(facts, "ncclSystemError") &&
      !said(facts, "ncclUnhandledCudaError")) {
    return {};
  }
  return finding(Severity::warning,
                 failed ? fmt::format("the GPUs cannot add up by NCCL ({}): {}", probe->outcome, probe->message)
                        : std::string("NCCL failed between GPUs"),
                 "NCCL needs shared memory (a container gets 64 MB), and the road it takes between the cards to work",
                 "`--ipc=host` or `--shm-size=1g` for the container; NCCL_DEBUG=WARN names the cause; "
                 "NCCL_P2P_DISABLE=1 takes the road through the host's memory");
}

// It ended before it came to any probe of the group.
Result group_crashed(const Facts& facts, const Needs&) {
  const auto failed = std::find_if(facts.probes.begin(), facts.probes.end(), [](const ProbeFacts& probe) {
    return probe.device == "gpus" && probe.outcome != "ok" && probe.name != "peer copy" && probe.name != "all-reduce";
  });
  if (failed == facts.probes.end()) return {};
  return finding(
      Severity::warning,
      fmt::format("the probe of all GPUs together {} at its {}: {}", failed->outcome, failed->name, failed->message),
      "each GPU works alone", "train on one GPU, as in --train.device cuda:0; run `trainyard check --full`");
}

Result no_peer_access(const Facts& facts, const Needs&) {
  const ProbeFacts* probe = group_probe(facts, "peer copy");
  if (!probe || probe->outcome != "ok" || !probe->message.starts_with("no peer access")) return {};
  return finding(Severity::note, fmt::format("GPUs reach each other through the host's memory ({})", probe->message),
                 "the cards or their slots have no direct road (GeForce cards since the RTX 40 have none)",
                 "nothing has to be done; training on several GPUs waits longer for its all-reduce");
}

constexpr Rule table[] = {
    {"peer-copy-failed", "gpu", peer_copy_failed},
    {"all-reduce-failed", "gpu", all_reduce_failed},
    {"gpu-group-failed", "gpu", group_crashed},
    {"no-peer-access", "gpu", no_peer_access},
};

}  // namespace

std::span<const Rule> gpu_group() { return table; }

}  // namespace trainyard::rules
