/// The ranks of a run, connected by c10d: Gloo between CPUs and NCCL between GPUs.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "distributed/errors.h"
#include "distributed/rank.h"
#include "util/torch.h"

namespace trainyard {

/// Every collective is called by all ranks, in one order; a rank that is alone sends nothing and waits for nothing.
/// Used from one thread at a time. Throws RanksLost where the others do not answer in time.
class ProcessGroup {
 public:
  /// One rank, alone.
  ProcessGroup();
  /// Meets the other ranks, which may still be building their datasets; from then on they wait `timeout_seconds` for
  /// one another. `device` is where this rank trains. REQUIRES, for a GPU, that it is the current one. Throws RunError
  /// where the store or a rank is not reached.
  ProcessGroup(const Rank& rank, at::Device device, double timeout_seconds);
  ~ProcessGroup();
  ProcessGroup(const ProcessGroup&) = delete;
  ProcessGroup& operator=(const ProcessGroup&) = delete;

  const Rank& rank() const { return rank_; }
  bool alone() const { return rank_.alone(); }

  /// Sums `tensor`, contiguous, on the CPU or on this rank's device, over all ranks in place; all get the same bits. On
  /// a GPU it is work of the current stream; on the CPU the call returns when it is done.
  void all_reduce(const at::Tensor& tensor);
  /// The same, the largest instead of the sum.
  void all_reduce_max(const at::Tensor& tensor);
  /// Whether `yes` is true on all ranks.
  bool all_agree(bool yes);
  /// Gives every rank what `tensor`, contiguous, is on rank 0.
  void broadcast(const at::Tensor& tensor);
  /// `tensor` of each rank, in the order of ranks. REQUIRES that all have one shape.
  std::vector<at::Tensor> all_gather(const at::Tensor& tensor);

  /// Begins to sum as all_reduce() does. On a GPU that is all; on the CPU, call `finish` before `tensor` is used.
  void begin_all_reduce(const at::Tensor& tensor);
  /// Waits for what was begun on the CPU.
  void finish();

  /// A collective that runs while this rank goes on.
  class Pending {
   public:
    Pending() = default;
    void wait();

   private:
    friend ProcessGroup;
    std::function<void()> wait_;
  };
  /// As all_reduce_max(), done when wait() of the result returns: until then `tensor`, on the CPU, may not be used.
  Pending all_reduce_max_later(const at::Tensor& tensor);

  // Texts: not for every step.

  /// What `text` is on rank 0. Waits until rank 0 has called it.
  std::string broadcast(const std::string& text);
  /// `text` of each rank, in the order of ranks.
  std::vector<std::string> all_gather(const std::string& text);
  /// Keeps `text` in torchrun's store, which outlives the ranks when they are restarted. Called by rank 0.
  void remember(const std::string& text);
  /// What was kept last; empty: nothing.
  std::string remembered() const;
  /// Returns when all ranks have called it.
  void barrier();

  /// This rank has come one step further: a rank that does not move while others have counts as hanging.
  void moved();
  /// Throws the error that is being handled on if it is the first of all ranks, and tells it to the others; else
  /// SecondaryError with the first one.
  [[noreturn]] void rethrow_first_cause(const std::exception& error);

  /// After the last collective, by all ranks: ends the connections. Without it the destructor cuts them.
  void shut_down();

 private:
  // c10d's store and backends, whose headers few files should include.
  struct Connections;

  void reduce(const at::Tensor& tensor, bool largest);

  Rank rank_;
  std::unique_ptr<Connections> connections_;  // null: alone
  int texts_ = 0;                             // exchanged so far
};

}  // namespace trainyard
