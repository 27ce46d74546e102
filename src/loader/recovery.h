/// What becomes of a worker that died or hangs, and of the sample it was reading: loader.on_worker_error.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "loader/hang_watch.h"
#include "loader/zygote.h"

namespace trainyard {

/// What went wrong and was put right, since the pool began.
struct FaultCounts {
  std::uint64_t deaths = 0;   ///< workers that ended by themselves or by a signal
  std::uint64_t hangs = 0;    ///< workers that were killed because a sample took too long
  std::uint64_t retries = 0;  ///< times that a sample was tried again
  std::uint64_t skipped = 0;  ///< samples that were left out of the batches delivered
};

/// The trainer's side of it, for one pool. Under `stop` every call throws the RunError that ends the run. Otherwise a
/// hanging worker is killed; when it, or any other, has ended and been waited for, its chunk goes to the others and a
/// new process takes its place. A sample that was being read `max_tries` times when a worker was lost stops the run
/// (retry) or is left out (skip). What is not one sample's fault stops it, too: a worker that ends again and again
/// without reading, one that cannot be killed, a fork that fails.
class Recovery {
 public:
  Recovery(Zygote& zygote, OnWorkerError policy);

  /// `published`: all batches that the workers know of, cancelled ones included.
  void worker_ended(const WorkerExit& exit, std::span<const PublishedBatch> published);
  void workers_hang(const Hang& hang);
  /// Forgets how often samples of batches up to `batch` were tried.
  void forget_until(std::uint64_t batch);

  /// Without `skipped`, and `retries` without those that workers did by themselves.
  const FaultCounts& counts() const { return counts_; }

 private:
  // What the trainer keeps about one worker.
  struct Watched {
    std::string killed_for;  // the hang that it was told to end for; empty: none
    std::uint64_t samples_at_death = 0;
    int idle_deaths = 0;  // in a row, without reading a sample in between
  };
  // A place in a batch whose sample was being read when a worker was lost.
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
  FaultCounts counts_;
  std::vector<Watched> watched_;
  std::vector<Tried> tried_;
};

}  // namespace trainyard
