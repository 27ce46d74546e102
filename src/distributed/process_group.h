/// Connects the ranks of a run through c10d: Gloo for tensors on the CPU and NCCL for tensors on GPUs.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "distributed/errors.h"
#include "distributed/rank.h"
#include "util/torch.h"

namespace c10d {
class Backend;
}

namespace trainyard {

/// All ranks call every collective, in the same order; a single rank sends nothing and waits for nothing. Used from one
/// thread at a time. Throws RanksLost if other ranks do not answer in time.
class ProcessGroup {
 public:
  /// A group of a single rank.
  ProcessGroup();
  /// Waits for the other ranks, which may still be building their datasets, and connects to them. Later calls wait at
  /// most `timeout_seconds` for other ranks. This rank trains on `device`. REQUIRES, for a GPU, that it is the current
  /// one. Throws RunError if the store or a rank cannot be reached.
  ProcessGroup(const Rank& rank, at::Device device, double timeout_seconds);
  ~ProcessGroup();
  ProcessGroup(const ProcessGroup&) = delete;
  ProcessGroup& operator=(const ProcessGroup&) = delete;

  const Rank& rank() const { return rank_; }
  bool alone() const { return rank_.alone(); }

  /// Sums `tensor` over all ranks in place; all ranks get the same bits. `tensor` is contiguous, on the CPU or on this
  /// rank's device. On a GPU the sum is enqueued on the current stream; on the CPU the call returns when it is done.
  void all_reduce(const at::Tensor& tensor);
  /// Like all_reduce(), with the maximum instead of the sum.
  void all_reduce_max(const at::Tensor& tensor);
  /// Whether `yes` is true on all ranks.
  bool all_agree(bool yes);
  /// Copies `tensor`, which is contiguous, from rank 0 to every rank.
  void broadcast(const at::Tensor& tensor);
  /// Returns `tensor` of each rank, in rank order. REQUIRES that all have the same shape.
  std::vector<at::Tensor> all_gather(const at::Tensor& tensor);

  /// Starts all_reduce(). On a GPU this is the same as all_reduce(); on the CPU, call finish() before using `tensor`.
  void begin_all_reduce(const at::Tensor& tensor);
  /// Waits for the sums that begin_all_reduce() has started on the CPU.
  void finish();

  /// A collective that runs in the background.
  class Pending {
   public:
    Pending() = default;
    void wait();

   private:
    friend ProcessGroup;
    std::function<void()> wait_;
  };
  /// Like all_reduce_max(), but complete only when wait() of the result returns; do not use `tensor`, which is on the
  /// CPU, before that.
  Pending all_reduce_max_later(const at::Tensor& tensor);

  // Collectives for texts go through the store: too slow for every step.

  /// Returns the `text` of rank 0. Waits until rank 0 has called it.
  std::string broadcast(const std::string& text);
  /// Returns `text` of each rank, in rank order.
  std::vector<std::string> all_gather(const std::string& text);
  /// Returns `text` of each rank of this host, in the order of local ranks. All ranks of all hosts call it.
  std::vector<std::string> all_gather_on_host(const std::string& text);
  /// Keeps `text` in torchrun's store, which outlives the ranks when they are restarted. Called by rank 0.
  void save_text(const std::string& text);
  /// Returns the last text that was kept; empty if there is none.
  std::string saved_text() const;
  /// Returns when all ranks have called it.
  void barrier();

  /// c10d's backend for tensors on `device`, for LibTorch's classes that send tensors themselves; null for a single
  /// rank.
  c10::intrusive_ptr<c10d::Backend> backend_of(at::Device device) const;

  /// Reports that this rank has completed one more step: a rank that makes no progress while others do counts as
  /// hanging.
  void report_progress();
  /// Called in a catch block. Rethrows the current exception if it is the first failure of all ranks, and reports it to
  /// the others; otherwise throws SecondaryError with the first one.
  [[noreturn]] void rethrow_first_cause(const std::exception& error);

  /// Closes the connections. Called by all ranks, after the last collective. Without it, the destructor aborts them.
  void shut_down();

 private:
  // c10d's store and backends, whose headers few files should include.
  struct Connections;

  void reduce(const at::Tensor& tensor, bool largest);
  void leave_store();

  Rank rank_;
  std::unique_ptr<Connections> connections_;  // null: a single rank
  int texts_ = 0;                             // exchanged so far
};

/// Called in a catch block of a rank that ends with `error` before it has a ProcessGroup: tells the ranks that connect
/// within `timeout_seconds`, whose constructor of ProcessGroup then throws SecondaryError. Warns if that takes long.
/// Throws nothing of its own.
void tell_other_ranks(const Rank& rank, const std::exception& error, double timeout_seconds);

/// Runs `work`, which a rank does before it has a ProcessGroup, and tells the other ranks if it fails.
template <typename Work>
auto before_connecting(const Rank& rank, double timeout_seconds, Work work) {
  try {
    return work();
  } catch (const std::exception& error) {
    tell_other_ranks(rank, error, timeout_seconds);
    throw;
  }
}

}  // namespace trainyard
