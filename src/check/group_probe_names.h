/// The names of the probes of several GPUs, for the code that judges and prints their results.
#pragma once

namespace trainyard {

/// The device of these probes.
constexpr const char* all_gpus = "gpus";
/// "copy 0>1": from cuda:0 to cuda:1.
constexpr const char* peer_copy = "copy ";
/// The message of a copy that succeeds but goes through the host's memory.
constexpr const char* no_peer_access = "no peer access";
/// "all-reduce 25 MiB", by NCCL. If it succeeds, its message is NCCL's transport: "P2P", "SHM" or "NET".
constexpr const char* all_reduce_of = "all-reduce ";

}  // namespace trainyard
