/// Why a run on several ranks fails: the first cause, on whichever rank it was.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <torch/csrc/distributed/c10d/Store.hpp>

#include "distributed/rank.h"
#include "util/system.h"

namespace trainyard {

/// Threads of each rank that know of the others while the main thread computes or waits. It ends this process, with
/// the first cause on standard error, when another rank has failed, was killed or has stopped: a kernel that waits for
/// it would wait forever. The cause is kept in the store; what fails because another rank has failed is never one.
///
/// Ranks of this host are known to have ended at once (pidfd_open), those of other hosts when they have not written to
/// the store for `timeout_seconds`. A rank hangs if others have come further than it and none has moved for as long; on
/// this host it is killed. Where the store itself does not answer for as long, the network is lost.
class FaultWatch {
 public:
  /// Called by all ranks. `store` is a connection of its own.
  FaultWatch(const Rank& rank, c10::intrusive_ptr<c10d::Store> store, double timeout_seconds);
  ~FaultWatch();
  FaultWatch(const FaultWatch&) = delete;
  FaultWatch& operator=(const FaultWatch&) = delete;

  /// This rank has come one step further.
  void moved() { moves_.fetch_add(1, std::memory_order_relaxed); }

  /// Why the run fails.
  struct Cause {
    std::string text;    ///< with rank and host
    bool own = false;    ///< it is the error of this rank
    bool tells = false;  ///< no other rank prints it on this host
  };
  /// What this rank ends with. Returns the first cause: `message`, with this rank and its host, unless another rank's
  /// is known. `lost`: the message only says that other ranks do not answer, so that their cause is waited for.
  Cause settle(const std::string& message, bool lost);

  /// Ends the thread: other ranks may end from now on. Called by all ranks, between two barriers.
  void stop();

 private:
  struct Peer {
    int rank;
    std::int64_t pid;
    std::string host;
    UniqueFd process;  // of this host; else none
    // Of the store, as the thread last saw it:
    std::int64_t moves = 0;
    std::int64_t beats = 0;
    double changed = 0;  // when either changed
    double moved = 0;
  };
  // A peer that does not answer, or hangs.
  struct Silent {
    const Peer* peer;
    std::string what;
  };

  void run();
  void guard();
  void look(double now);
  // A cause is kept behind the number of the rank that has found it and prints it.
  std::optional<Cause> known_cause();
  Cause keep_cause(const std::string& text);
  void wait_for_cause();
  Cause first_cause(const std::string& message, bool lost);
  Cause cause_in(const std::string& kept) const;
  std::optional<std::string> killed_peer() const;
  std::optional<Silent> silent_peer(double now);
  bool is_first_of_host() const;
  std::string describe(const Peer& peer) const;
  [[noreturn]] void end_process(const Cause& cause, bool primary);

  Rank rank_;
  c10::intrusive_ptr<c10d::Store> store_;
  double timeout_;
  std::string host_;
  std::vector<Peer> peers_;  // by rank; without this one
  std::atomic<std::int64_t> moves_ = 0;
  std::int64_t beats_ = 0;
  std::atomic<bool> settled_ = false;  // the main thread ends the process
  std::atomic<bool> stops_ = false;
  std::mutex asking_;                      // the store
  UniqueFd wake_;                          // an eventfd
  std::atomic<std::int64_t> answers_ = 0;  // of the store
  std::thread thread_;
  std::thread guard_;
};

}  // namespace trainyard
