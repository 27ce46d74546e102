/// Detects on each rank that another rank has failed, and finds the first cause.
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
#include "util/error.h"
#include "util/system.h"

namespace trainyard {

/// Runs threads that watch the other ranks while the main thread computes or waits. When another rank has failed, was
/// killed, hangs or no longer answers, they end this process and print the first cause to standard error: a kernel that
/// waits for that rank would wait forever. The store keeps the cause; a failure that follows from another rank's is
/// never the cause.
///
/// The end of a rank on this host is detected immediately (pidfd_open), that of a rank on another host when it has not
/// written to the store for `timeout_seconds`. A rank hangs if other ranks are further and no rank has made progress
/// for that long; it is killed if it is on this host. If the store itself does not answer for that long, the network is
/// lost.
class FaultWatch {
 public:
  /// Called by all ranks; waits until all have called it. `store` is a connection that nothing else uses. A warning
  /// names a rank that has not come after `timeout_seconds`. Throws SecondaryError if a rank has called
  /// report_early_end() instead, RunError if one does not come.
  FaultWatch(const Rank& rank, c10::intrusive_ptr<c10d::Store> store, double timeout_seconds);
  ~FaultWatch();
  FaultWatch(const FaultWatch&) = delete;
  FaultWatch& operator=(const FaultWatch&) = delete;

  /// Reports that this rank has completed one more step.
  void report_progress() { moves_.fetch_add(1, std::memory_order_relaxed); }

  /// Why the run fails.
  struct Cause {
    std::string text;  ///< with rank and host
    ExitCode code = ExitCode::run_failed;
    bool own = false;         ///< it is this rank's error
    bool must_print = false;  ///< this rank has to print it: no other rank on this host does
  };
  /// Reports that this rank ends with the error `message` and `code`. Returns the first cause: `message`, with this
  /// rank and its host, unless the cause of another rank is known. `lost`: the message only says that other ranks do
  /// not answer, so waits for their cause first. If this process has the store, waits until the others know the cause.
  Cause report_end(const std::string& message, ExitCode code, bool lost);

  /// Stops watching: other ranks may end from now on. Called by all ranks, between two barriers.
  void stop();

 private:
  struct Peer {
    int rank;
    std::int64_t pid;
    std::string host;
    UniqueFd process;  // a pidfd; none if the rank is on another host
    // As last read from the store:
    std::int64_t moves = 0;
    std::int64_t beats = 0;
    double changed = 0;  // when `beats` last changed
    double moved = 0;    // when `moves` last changed
  };
  // A peer that does not answer, or hangs.
  struct Silent {
    const Peer* peer;
    std::string what;
  };

  std::string process_of(int rank);
  [[noreturn]] void end_early(const Cause& cause);
  void run();
  void guard();
  void check_peers(double now);
  // The store keeps "<rank> <exit code> <cause>"; the rank is the one that found the cause and prints it.
  std::optional<Cause> known_cause();
  Cause keep_cause(const std::string& text, ExitCode code);
  void wait_for_cause();
  void leave_store();
  Cause first_cause(const std::string& message, ExitCode code, bool lost);
  Cause cause_in(const std::string& kept) const;
  std::optional<std::string> killed_peer() const;
  std::optional<Silent> silent_peer(double now);
  bool is_first_of_host() const;
  std::string describe(const Peer& peer) const;
  [[noreturn]] void end_with(const Cause& cause, bool primary);
  [[noreturn]] void end_process(const Cause& cause, bool primary);

  Rank rank_;
  c10::intrusive_ptr<c10d::Store> store_;
  double timeout_;
  int between_looks_;  // milliseconds
  std::string host_;
  std::vector<Peer> peers_;  // the other ranks, in order
  std::atomic<std::int64_t> moves_ = 0;
  std::int64_t beats_ = 0;
  std::atomic<bool> settled_ = false;  // the main thread ends the process
  std::atomic<bool> stops_ = false;
  std::mutex asking_;                      // protects store_
  UniqueFd wake_;                          // an eventfd
  std::atomic<std::int64_t> answers_ = 0;  // of the store
  std::thread thread_;
  std::thread guard_;
};

/// Reports, instead of creating a FaultWatch, that this rank ends with the error `message` and `code`. If this process
/// has the store, waits until the other ranks know the cause, at most `timeout_seconds`, and says so.
void report_early_end(const Rank& rank, c10d::Store& store, const std::string& message, ExitCode code,
                      double timeout_seconds);

}  // namespace trainyard
