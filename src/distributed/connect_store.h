/// Connects a rank to the store of its run.
#pragma once

#include <chrono>

#include <torch/csrc/distributed/c10d/Store.hpp>

#include "distributed/rank.h"

namespace trainyard {

/// How long a rank waits for the host of the store, and how long until it says so for the first time; the times between
/// are ever longer.
struct StorePatience {
  // Rank 0 may take minutes to build its datasets before it opens the store.
  std::chrono::milliseconds in_all = std::chrono::minutes(30);
  std::chrono::milliseconds until_said = std::chrono::seconds(10);
};

/// Opens the store if `rank` hosts it, and connects to it. The first rank of each host, and rank 1, warn while they
/// wait. Throws RunError if the store does not answer in time or cannot be opened.
c10::intrusive_ptr<c10d::Store> connect_store(const Rank& rank, const StorePatience& patience = {});

/// Another connection to the store that connect_store() has reached.
c10::intrusive_ptr<c10d::Store> connect_store_again(const Rank& rank);

}  // namespace trainyard
