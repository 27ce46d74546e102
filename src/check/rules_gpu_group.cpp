#include <algorithm>

#include <fmt/format.h>

#include "check/group_probes.h"
#include "check/place.h"
#include "check/rules.h"

namespace trainyard::rules {
namespace {

const ProbeFacts* first_probe(const Facts& facts, const auto& wanted) {
  const auto found = std::find_if(facts.probes.begin(), facts.probes.end(), wanted);
  return found == facts.probes.end() ? nullptr : &*found;
}

const ProbeFacts* failed_probe(const Facts& facts, bool (*kind)(const ProbeFacts&)) {
  return first_probe(facts, [&](const ProbeFacts& probe) { return kind(probe) && probe.outcome != "ok"; });
}

// NCCL's transport between GPUs; empty: unknown.
std::string transport(const Facts& facts) {
  const ProbeFacts* probe =
      first_probe(facts, [](const ProbeFacts& each) { return is_all_reduce(each) && each.outcome == "ok"; });
  return probe ? probe->message : "";
}

// Suggests training on one GPU, unless the run already does.
void add_one_gpu(Remedy& remedy, const Facts& facts) {
  const std::string first = facts.devices.empty() ? "cuda:0" : fmt::format("cuda:{}", facts.devices[0].index);
  remedy.add("train on one GPU: --train.device " + first, {{"train.device", first}});
}

Result peer_copy_failed(const Facts& facts, const Needs& needs) {
  const ProbeFacts* probe = failed_probe(facts, is_peer_copy);
  if (!probe) return {};
  Remedy remedy(facts, needs);
  add_one_gpu(remedy, facts);
  remedy.add("NCCL_P2P_DISABLE=1", {{"env.NCCL_P2P_DISABLE", "1"}});
  remedy.add("lastingly: turn the IOMMU (VT-d, AMD-Vi) and ACS off in the host's firmware");
  return finding(Severity::warning, "copies between GPUs fail" + quoted_message(probe->message),
                 "the host's IOMMU or PCI access control redirects what one card sends to another", remedy);
}

Result all_reduce_failed(const Facts& facts, const Needs& needs) {
  const ProbeFacts* failed = failed_probe(facts, is_all_reduce);
  if (!failed && !probe_message_contains(facts, "NCCL error") && !probe_message_contains(facts, "ncclInternalError") &&
      !probe_message_contains(facts, "ncclSystemError") && !probe_message_contains(facts, "ncclUnhandledCudaError")) {
    return {};
  }
  Remedy remedy(facts, needs);
  if (in_container(facts) && !facts.host.shares_ipc) add_larger_shared_memory(remedy, facts, 1ull << 30);
  remedy.add("NCCL_DEBUG=WARN, which names the cause", {{"env.NCCL_DEBUG", "WARN"}});
  remedy.add("NCCL_P2P_DISABLE=1, which goes through the host's memory", {{"env.NCCL_P2P_DISABLE", "1"}});
  remedy.add("update the driver: NCCL's own words above name the call that failed");
  return finding(
      Severity::warning,
      failed ? "the GPUs cannot add up by NCCL" + quoted_message(failed->message) : "NCCL failed between GPUs",
      "NCCL needs shared memory (a container gets 64 MB), and a working link between the cards", remedy);
}

// It ended before the group's first probe.
Result group_crashed(const Facts& facts, const Needs& needs) {
  const ProbeFacts* failed = first_probe(facts, [](const ProbeFacts& probe) {
    return is_of_all_gpus(probe) && probe.outcome != "ok" && !is_peer_copy(probe) && !is_all_reduce(probe);
  });
  if (!failed) return {};
  Remedy remedy(facts, needs);
  add_one_gpu(remedy, facts);
  remedy.add("run `trainyard check --full` again");
  return finding(Severity::warning, "the probe of all GPUs together ended early" + quoted_message(failed->message),
                 "each GPU works alone", remedy);
}

Result gpus_over_sockets(const Facts& facts, const Needs& needs) {
  if (transport(facts) != "NET") return {};
  Remedy remedy(facts, needs);
  if (in_container(facts) && !facts.host.shares_ipc) add_larger_shared_memory(remedy, facts, 1ull << 30);
  remedy.add("unset NCCL_P2P_DISABLE", {{"env.NCCL_P2P_DISABLE", ""}});
  remedy.add("unset NCCL_SHM_DISABLE", {{"env.NCCL_SHM_DISABLE", ""}});
  remedy.add("NCCL_DEBUG=INFO, which says why", {{"env.NCCL_DEBUG", "INFO"}});
  return finding(Severity::warning, "the GPUs of this host reach each other through network sockets",
                 "NCCL could use neither a direct link nor shared memory, both of which are many times faster", remedy);
}

// An all-reduce uses both directions of a link, and NCCL's bus bandwidth reaches 60 to 90 % of the rate of a copy;
// below a third, something is wrong.
Result slow_all_reduce(const Facts& facts, const Needs& needs) {
  double copy = 0;
  double reduced = 0;
  for (const ProbeFacts& probe : facts.probes) {
    const double rate = probe.bytes_per_second;
    if (probe.outcome != "ok" || !(rate > 0)) continue;
    if (is_peer_copy(probe) && (copy == 0 || rate < copy)) copy = rate;
    if (is_all_reduce(probe)) reduced = std::max(reduced, rate);
  }
  if (reduced == 0 || reduced >= copy / 3 || transport(facts) == "NET") return {};
  Remedy remedy(facts, needs);
  remedy.add("unset NCCL_P2P_DISABLE", {{"env.NCCL_P2P_DISABLE", ""}});
  remedy.add("end other programs on these GPUs and run it again");
  remedy.add("NCCL_DEBUG=INFO, which says what it uses", {{"env.NCCL_DEBUG", "INFO"}});
  const std::string way = transport(facts);
  return finding(Severity::warning,
                 fmt::format("an all-reduce carries {:.1f} GB/s, copies between the same GPUs {:.1f} GB/s",
                             reduced / 1e9, copy / 1e9),
                 way == "SHM" ? "NCCL goes through the host's memory" : "something slows NCCL", remedy);
}

Result without_peer_access(const Facts& facts, const Needs&) {
  std::string pairs;
  for (const ProbeFacts& probe : facts.probes) {
    if (!is_peer_copy(probe) || probe.outcome != "ok" || probe.message != no_peer_access) continue;
    pairs += (pairs.empty() ? "" : ", ") + probe.name.substr(std::string_view(peer_copy).size());
  }
  if (pairs.empty()) return {};
  return finding(Severity::note, "GPUs reach each other through the host's memory: " + pairs,
                 "the cards or their slots have no direct link (GeForce cards since the RTX 40 have none)",
                 "nothing has to be done; training on several GPUs waits longer for its all-reduce");
}

Result no_infiniband(const Facts& facts, const Needs& needs) {
  if (needs.world_size <= needs.local_world_size || needs.device == "cpu") return {};
  if (!facts.host.infiniband.empty()) return {};
  return finding(
      Severity::note, "NCCL reaches the other hosts through network sockets",
      "this host has no InfiniBand or RoCE adapter, or the container does not see it",
      "nothing has to be done on a host without one; else pass it to the container: --device=/dev/infiniband "
      "--cap-add=IPC_LOCK");
}

constexpr Rule table[] = {
    {"peer-copy-failed", "gpu", peer_copy_failed}, {"all-reduce-failed", "gpu", all_reduce_failed},
    {"gpu-group-failed", "gpu", group_crashed},    {"gpus-over-sockets", "gpu", gpus_over_sockets},
    {"slow-all-reduce", "gpu", slow_all_reduce},   {"no-peer-access", "gpu", without_peer_access},
    {"no-infiniband", "gpu", no_infiniband},
};

}  // namespace

std::span<const Rule> gpu_group() { return table; }

}  // namespace trainyard::rules
