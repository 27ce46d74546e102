#include <algorithm>

#include <fmt/format.h>

#include "check/place.h"
#include "check/rules.h"

namespace trainyard::rules {
namespace {

const ProbeFacts* group_probe(const Facts& facts, std::string_view name) {
  const auto found = std::find_if(facts.probes.begin(), facts.probes.end(), [&](const ProbeFacts& probe) {
    return probe.device == "gpus" && probe.name == name;
  });
  return found == facts.probes.end() ? nullptr : &*found;
}

// One GPU at a time is left, unless that is what the run does.
void add_one_gpu(Remedy& remedy, const Facts& facts) {
  const std::string first = facts.devices.empty() ? "cuda:0" : fmt::format("cuda:{}", facts.devices[0].index);
  remedy.way("train on one GPU: --train.device " + first, {{"train.device", first}});
}

Result peer_copy_failed(const Facts& facts, const Needs& needs) {
  const ProbeFacts* probe = group_probe(facts, "peer copy");
  if (!probe || probe->outcome == "ok") return {};
  Remedy remedy(facts, needs);
  add_one_gpu(remedy, facts);
  remedy.way("NCCL_P2P_DISABLE=1", {{"env.NCCL_P2P_DISABLE", "1"}});
  remedy.way("lastingly: turn the IOMMU (VT-d, AMD-Vi) and ACS off in the host's firmware");
  return finding(Severity::warning, "copies between GPUs fail" + in_words(probe->message),
                 "the host's IOMMU or PCI access control redirects what one card sends to another", remedy);
}

Result all_reduce_failed(const Facts& facts, const Needs& needs) {
  const ProbeFacts* probe = group_probe(facts, "all-reduce");
  const bool failed = probe && probe->outcome != "ok";
  if (!failed && !said(facts, "NCCL error") && !said(facts, "ncclInternalError") && !said(facts, "ncclSystemError") &&
      !said(facts, "ncclUnhandledCudaError")) {
    return {};
  }
  Remedy remedy(facts, needs);
  if (in_container(facts) && !facts.host.shares_ipc) add_larger_shared_memory(remedy, facts, 1ull << 30);
  remedy.way("NCCL_DEBUG=WARN, which names the cause", {{"env.NCCL_DEBUG", "WARN"}});
  remedy.way("NCCL_P2P_DISABLE=1, which goes through the host's memory", {{"env.NCCL_P2P_DISABLE", "1"}});
  remedy.way("update the driver: NCCL's own words above name the call that failed");
  return finding(Severity::warning,
                 failed ? "the GPUs cannot add up by NCCL" + in_words(probe->message) : "NCCL failed between GPUs",
                 "NCCL needs shared memory (a container gets 64 MB), and a working link between the cards", remedy);
}

// It ended before it came to any probe of the group.
Result group_crashed(const Facts& facts, const Needs& needs) {
  const auto failed = std::find_if(facts.probes.begin(), facts.probes.end(), [](const ProbeFacts& probe) {
    return probe.device == "gpus" && probe.outcome != "ok" && probe.name != "peer copy" && probe.name != "all-reduce";
  });
  if (failed == facts.probes.end()) return {};
  Remedy remedy(facts, needs);
  add_one_gpu(remedy, facts);
  remedy.way("run `trainyard check --full` again");
  return finding(Severity::warning, "the probe of all GPUs together ended early" + in_words(failed->message),
                 "each GPU works alone", remedy);
}

Result no_peer_access(const Facts& facts, const Needs&) {
  const ProbeFacts* probe = group_probe(facts, "peer copy");
  if (!probe || probe->outcome != "ok" || !probe->message.starts_with("no peer access")) return {};
  return finding(Severity::note, "GPUs reach each other through the host's memory" + in_words(probe->message),
                 "the cards or their slots have no direct link (GeForce cards since the RTX 40 have none)",
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
