/// Handles a worker that died or hangs, and the sample it was reading, according to loader.on_worker_error.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "loader/hang_watch.h"
#include "loader/skipped_samples.h"
#include "loader/zygote.h"

namespace trainyard {

/// Faults that the pool has recovered from since it was created.
struct FaultCounts {
  std::uint64_t deaths = 0;           ///< workers that exited or were killed by a signal
  std::uint64_t hangs = 0;            ///< workers that were killed because a sample took too long
  std::uint64_t retries = 0;          ///< times a sample was tried again
  std::uint64_t skipped = 0;          ///< samples missing from the delivered batches, again in each pass
  std::uint64_t skipped_samples = 0;  ///< the different ones among them
};

/// The trainer's side of recovery, for one pool. Under `stop` every call throws the RunError that ends the run.
/// Otherwise a hanging worker is killed; when it, or any other, has ended and been waited for, its chunk goes to the
/// others and a new process takes its place. A sample that was being read `max_tries` times when a worker was lost ends
/// the run (retry) or is skipped (skip). Faults that no single sample causes also end it: a worker that ends repeatedly
/// without reading a sample, one that cannot be killed, a failed fork. A worker that is lost over a sample that has
/// been skipped before is counted without a warning.
class Recovery {
 public:
  /// `skipped`: the samples that the pool has skipped so far. Must outlive it.
  Recovery(Zygote& zygote, OnWorkerError policy, const SkippedSamples& skipped);

  /// `published`: all batches known to the workers, including cancelled ones.
  void worker_ended(const WorkerExit& exit, std::span<const PublishedBatch> published);
  void workers_hang(const Hang& hang);
  /// Forgets the attempts at samples of batches up to `batch`.
  void forget_until(std::uint64_t batch);

  /// Excludes what is skipped, and in `retries` the workers' own.
  const FaultCounts& counts() const { return counts_; }

 private:
  // What the trainer tracks per worker.
  struct Watched {
    std::string killed_for;  // the hang for which it was killed; empty: none
    std::uint64_t samples_at_death = 0;
    int idle_deaths = 0;  // in a row, without reading a sample in between
  };
  // A position in a batch whose sample was being read when a worker was lost.
  struct Tried {
    std::uint64_t batch;
    std::uint32_t place;
    int times;
  };

  int count_try(std::uint64_t batch, std::uint32_t place);
  std::string blame_sample(const Claim& claim, const WorkerRecord& record, const std::string& cause);
  void blame_worker(std::uint32_t worker, const std::string& cause);

  Zygote& zygote_;
  OnWorkerError policy_;
  const SkippedSamples& skipped_;
  FaultCounts counts_;
  std::vector<Watched> watched_;
  std::vector<Tried> tried_;
};

}  // namespace trainyard
