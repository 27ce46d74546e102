/// The probes of several GPUs: their names, by which their results are recognized where they are judged and printed.
#pragma once

#include "check/facts.h"

namespace trainyard {

/// The device of these probes.
constexpr const char* all_gpus = "gpus";
/// "copy 0>1": from cuda:0 to cuda:1.
constexpr const char* peer_copy = "copy ";
/// The message of a copy that succeeds but goes through the host's memory.
constexpr const char* no_peer_access = "no peer access";
/// "all-reduce 25 MiB", by NCCL. If it succeeds, its message is NCCL's transport: "P2P", "SHM" or "NET".
constexpr const char* all_reduce_of = "all-reduce ";

inline bool is_of_all_gpus(const ProbeFacts& probe) { return probe.device == all_gpus; }
inline bool is_peer_copy(const ProbeFacts& probe) { return is_of_all_gpus(probe) && probe.name.starts_with(peer_copy); }
inline bool is_all_reduce(const ProbeFacts& probe) {
  return is_of_all_gpus(probe) && probe.name.starts_with(all_reduce_of);
}

}  // namespace trainyard
