#include "loader/worker_pool.h"

#include <algorithm>

#include <spdlog/spdlog.h>
#include <unistd.h>

#include "loader/hang_watch.h"
#include "util/error.h"

namespace trainyard {
namespace {

const char* split_name(std::uint32_t split) { return to_string(static_cast<Split>(split)); }

}  // namespace

void SlotLease::release() noexcept {
  if (pool_ != nullptr) pool_->free_.push_back(slot_);
  pool_ = nullptr;
}

WorkerPool::WorkerPool(const PoolOptions& options, const DatasetFactory& factory) : options_(options) {
  if (options.workers > 0) {
    zygote_.emplace(options, factory);
    arena_ = &zygote_->arena();
    splits_ = zygote_->splits();
  } else {
    own_splits_ = factory();
    splits_ = describe(own_splits_);
    arena_ = &own_arena_.emplace(Arena::create_private(arena_shape(options, splits_)));
    arena_->worker(0).pid = getpid();
  }
  const std::uint32_t slots = arena_->shape().slots;
  if (const std::uint32_t wanted = arena_shape(options, splits_).slots; slots < wanted) {
    spdlog::warn(
        "[loader] {} has room for {} batches of the {} that loader.prefetch = {} needs; loading may be slower; start "
        "the "
        "container with --ipc=host or a larger --shm-size",
        options.directory, slots, wanted, options.prefetch);
  }
  free_.reserve(slots);  // so that a lease's release cannot throw
  for (std::uint32_t slot = 0; slot < slots; ++slot) free_.push_back(slot);
}

std::vector<WorkerStatus> WorkerPool::status() const {
  std::vector<WorkerStatus> result;
  for (std::uint32_t worker = 0; worker < arena_->shape().records(); ++worker) {
    const WorkerRecord& record = arena_->worker(worker);
    result.push_back({record.pid, record.samples, static_cast<double>(record.busy_ns) * 1e-9});
  }
  return result;
}

void WorkerPool::serve(std::uint64_t loader) {
  Tickets tickets(*arena_);
  for (const Published& published : published_) tickets.cancel(published.batch, published.slot);
  wait_until_settled(published_);
  for (const Published& published : published_) free_.push_back(published.slot);
  published_.clear();
  serving_ = loader;
}

bool WorkerPool::can_publish() const {
  return !free_.empty() && published_.size() < static_cast<std::size_t>(options_.prefetch);
}

void WorkerPool::publish(const BatchRequest& request) {
  const std::uint32_t slot = free_.back();
  published_.push_back({Tickets(*arena_).publish(slot, request), slot});
  free_.pop_back();
}

SlotLease WorkerPool::take() {
  const Published next = published_.front();
  wait_until_settled({&next, 1});
  published_.erase(published_.begin());
  Tickets(*arena_).set_oldest(next.batch + 1);
  SlotLease lease(*this, next.slot);
  // After a failure the loader is out of step; asked again, it begins again at this batch.
  const std::uint64_t loader = std::exchange(serving_, 0);
  throw_if_failed(next);
  serving_ = loader;
  return lease;
}

void WorkerPool::wait_until_settled(std::span<const Published> batches) {
  Tickets tickets(*arena_);
  const auto settled = [&] {
    return std::all_of(batches.begin(), batches.end(),
                       [&](const Published& p) { return tickets.is_settled(p.batch, p.slot); });
  };
  if (!zygote_) {
    while (!settled()) fill_one_chunk(*arena_, own_splits_, options_.seed, 0, nullptr);
    return;
  }
  if (!fault_.empty()) throw_error(ExitCode::run_failed, fault_);
  try {
    for (HangWatch watch(*arena_, options_.timeout_seconds);; zygote_->wait(watch.milliseconds_left())) {
      if (const auto exit = zygote_->next_exit()) throw_worker_ended(*exit);
      if (settled()) return;
    }
  } catch (const RunError& e) {
    fault_ = e.what();
    throw;
  }
}

void WorkerPool::throw_worker_ended(const WorkerExit& exit) const {
  const WorkerRecord& record = arena_->worker(exit.worker);
  const std::string work = record.started_ns == 0 ? "while it was reading no sample"
                                                  : fmt::format("while reading sample {} of {}", record.sample.load(),
                                                                split_name(record.split));
  throw RunError("loader", "worker {} (pid {}) {} {}; loader.workers = 0 reads in the training process, for a debugger",
                 exit.worker + 1, exit.pid, zygote_->describe_end(exit.status), work);
}

void WorkerPool::throw_if_failed(const Published& batch) const {
  if (arena_->guard(batch.slot) != batch.batch) {
    throw RunError("loader",
                   "something has written past the end of a batch: a dataset's get() may write no more than "
                   "the bytes it was given");
  }
  const auto chunk = Tickets(*arena_).failed_chunk(batch.slot);
  if (!chunk) return;
  const ChunkError& error = arena_->error(batch.slot, *chunk);
  throw RunError("loader", "sample {} of {} cannot be read: {}", error.sample,
                 split_name(arena_->slot(batch.slot).request.split), error.text);
}

}  // namespace trainyard
