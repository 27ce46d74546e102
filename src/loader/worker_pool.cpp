#include "loader/worker_pool.h"

#include <algorithm>
#include <cstring>
#include <set>

#include <unistd.h>

#include "loader/load_splits.h"
#include "loader/sample_order.h"
#include "util/clock.h"
#include "util/count_of.h"
#include "util/error.h"
#include "util/first_few.h"
#include "util/log.h"

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
    recovery_.emplace(*zygote_, options.on_worker_error, skipped_samples_);
    arena_ = &zygote_->arena();
    splits_ = zygote_->splits();
  } else {
    own_splits_ = load_splits(options, factory);
    splits_ = describe(own_splits_);
    arena_ = &own_arena_.emplace(Arena::create_private(arena_shape(options, splits_)));
    own_worker_.emplace(*arena_, own_splits_, options_, 0);
    arena_->worker(0).pid = getpid();
  }
  free_.reserve(arena_->shape().slots);  // so that a lease's release cannot throw
  add_reserved_slots();
}

// Called only after the first batch has arrived: reserving large batches takes a core tens of milliseconds.
void WorkerPool::request_slots() {
  if (zygote_ && !std::exchange(asked_for_slots_, true)) zygote_->reserve_slots();
}

void WorkerPool::add_reserved_slots() {
  const std::uint32_t wanted = arena_->shape().slots;
  if (slots_ == wanted || warned_of_room_) return;
  const bool all = arena_->control().slots_to_come == 0;  // read before the next line, to miss none
  // Inserts at the front: slots that have been written to are used first, so that no more memory is used than
  // necessary.
  for (const std::uint32_t usable = arena_->slots_usable(); slots_ < usable;) {
    free_.insert(free_.begin(), slots_++);
  }
  if (!all || slots_ == wanted) return;
  warned_of_room_ = true;
  log_warning(
      "[loader] {} has room for {} batches of the {} that {} workers with loader.prefetch = {} need; loading may be "
      "slower; start the container with --ipc=host or a larger --shm-size",
      options_.directory, slots_, wanted, options_.workers, options_.prefetch);
}

// Returns false if no more slots will come.
bool WorkerPool::wait_for_slot() {
  request_slots();
  const auto deadline = monotonic_ns() + static_cast<std::int64_t>(options_.timeout_seconds * 1e9);
  const std::uint32_t before = slots_;
  for (add_reserved_slots(); slots_ == before; add_reserved_slots()) {
    if (arena_->control().slots_to_come == 0 && arena_->slots_usable() == before) return false;
    if (monotonic_ns() > deadline) {
      throw RunError("loader", "only {} of the loader's {} slots are reserved after {:.3g} s: is pid {} stopped?",
                     slots_, arena_->shape().slots, options_.timeout_seconds, zygote_pid());
    }
    record_fault_on_throw([&] {
      zygote_->wait(1000);
      handle_worker_exits();
    });
  }
  return true;
}

std::span<std::byte> WorkerPool::memory() {
  while (wait_for_slot()) continue;
  if (arena_->control().slots_reserved < arena_->slots_usable()) Arena::refuse(arena_->shape(), options_.directory);
  return arena_->memory();
}

std::vector<WorkerStatus> WorkerPool::status() const {
  std::vector<WorkerStatus> result;
  for (std::uint32_t worker = 0; worker < arena_->shape().records(); ++worker) {
    const WorkerRecord& record = arena_->worker(worker);
    result.push_back({record.pid, record.samples, static_cast<double>(record.busy_ns) * 1e-9});
  }
  return result;
}

FaultCounts WorkerPool::faults() const {
  FaultCounts counts = recovery_ ? recovery_->counts() : FaultCounts();
  for (std::uint32_t worker = 0; worker < arena_->shape().records(); ++worker) {
    counts.retries += arena_->worker(worker).retries;
  }
  counts.skipped = skipped_;
  counts.skipped_samples = skipped_samples_.count();
  return counts;
}

void WorkerPool::serve(std::uint64_t loader) {
  Tickets tickets(*arena_);
  for (PublishedBatch& published : published_) {
    tickets.cancel(published.batch, published.slot);
    published.cancelled = true;
  }
  wait_until_settled(published_);
  for (const PublishedBatch& published : published_) free_.push_back(published.slot);
  published_.clear();
  serving_ = loader;
}

bool WorkerPool::try_switch_to(std::uint64_t ticket, std::uint64_t loader) {
  if (published_.empty() || published_.front().batch != ticket) return false;
  serving_ = loader;
  return true;
}

bool WorkerPool::has(std::uint64_t ticket) const {
  return std::any_of(published_.begin(), published_.end(),
                     [&](const PublishedBatch& published) { return published.batch == ticket; });
}

bool WorkerPool::can_publish() {
  add_reserved_slots();
  if (free_.empty() && published_.empty()) wait_for_slot();
  return !free_.empty() && published_.size() + slots_of_trainer < arena_->shape().slots;
}

std::uint64_t WorkerPool::publish(const BatchRequest& request) {
  const std::uint32_t slot = free_.back();
  published_.push_back({Tickets(*arena_).publish(slot, request), slot});
  free_.pop_back();
  return published_.back().batch;
}

TakenBatch WorkerPool::take() {
  const PublishedBatch next = published_.front();
  wait_until_settled({&next, 1});
  request_slots();
  published_.erase(published_.begin());
  Tickets(*arena_).set_oldest(next.batch + 1);
  if (recovery_) recovery_->forget_until(next.batch);
  SlotLease lease(*this, next.slot);
  // After a failure the loader has lost its place; the next call starts again at this batch.
  const std::uint64_t loader = std::exchange(serving_, 0);
  throw_if_failed(next);
  std::vector<std::uint32_t> kept = close_gaps(next);
  serving_ = loader;
  return {std::move(lease), std::move(kept)};
}

void WorkerPool::wait_until_settled(std::span<const PublishedBatch> batches) {
  Tickets tickets(*arena_);
  const auto settled = [&] {
    return std::all_of(batches.begin(), batches.end(),
                       [&](const PublishedBatch& p) { return tickets.is_settled(p.batch, p.slot); });
  };
  if (!zygote_) {
    while (!settled()) own_worker_->fill_one_chunk();
    return;
  }
  record_fault_on_throw([&] {
    for (HangWatch watch(*arena_, batches, options_.timeout_seconds);; zygote_->wait(watch.milliseconds_left())) {
      handle_worker_exits();
      if (settled()) return;
      if (const auto hang = watch.look()) recovery_->workers_hang(*hang);
    }
  });
}

void WorkerPool::handle_worker_exits() {
  while (const auto exit = zygote_->next_exit()) recovery_->worker_ended(*exit, published_);
}

template <typename Wait>
void WorkerPool::record_fault_on_throw(Wait wait) {
  if (!fault_.empty()) throw_error(ExitCode::run_failed, fault_);
  try {
    wait();
  } catch (const RunError& e) {
    fault_ = e.what();
    throw;
  }
}

void WorkerPool::throw_if_failed(const PublishedBatch& batch) const {
  const std::vector<Field>& fields = splits_[arena_->slot(batch.slot).request.split].fields;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (arena_->guard(batch.slot, i) == batch.batch) continue;
    throw RunError(
        "loader",
        "something has written past the end of the field {} of a batch: a dataset's read() may write no more "
        "than the bytes it was given",
        fields[i].name);
  }
  const auto chunk = Tickets(*arena_).failed_chunk(batch.slot);
  if (!chunk) return;
  const ChunkError& error = arena_->error(batch.slot, *chunk);
  throw RunError("loader", "sample {} of {} cannot be read: {}", error.sample,
                 split_name(arena_->slot(batch.slot).request.split), error.text);
}

// For a variable-length field.
void WorkerPool::close_gaps_of_rows(std::uint32_t slot, std::size_t field, std::size_t row_bytes,
                                    std::span<const std::uint32_t> kept) {
  const auto rows = arena_->rows(slot, field);
  const auto begins = arena_->begins(slot, field);
  std::byte* const elements = arena_->field(slot, field).data();
  std::int64_t filled = 0;
  for (std::size_t to = 0; to < kept.size(); ++to) {
    const std::int64_t begin = begins[kept[to]];
    const std::int64_t count = begins[kept[to] + 1] - begin;
    const auto bytes = [&](std::int64_t n) { return static_cast<std::size_t>(n) * row_bytes; };
    if (filled != begin) std::memmove(elements + bytes(filled), elements + bytes(begin), bytes(count));
    rows[to] = rows[kept[to]];
    begins[to] = filled;
    filled += count;
  }
  begins[kept.size()] = filled;
}

// Closes the gaps that skipped samples have left.
std::vector<std::uint32_t> WorkerPool::close_gaps(const PublishedBatch& batch) {
  const BatchRequest& request = arena_->slot(batch.slot).request;
  const auto left_out = arena_->left_out(batch.slot).first(request.count);
  if (std::none_of(left_out.begin(), left_out.end(), [](const auto& mark) { return mark.load() != 0; })) return {};

  std::vector<std::uint32_t> kept;
  std::vector<std::uint32_t> missing;
  for (std::uint32_t place = 0; place < request.count; ++place) {
    (left_out[place].load() == 0 ? kept : missing).push_back(place);
  }
  const std::vector<Field>& fields = splits_[request.split].fields;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (fields[i].varies) {
      close_gaps_of_rows(batch.slot, i, fields[i].row_bytes(), kept);
    } else {
      std::byte* const elements = arena_->field(batch.slot, i).data();
      const std::size_t bytes = fields[i].bytes();
      for (std::size_t to = 0; to < kept.size(); ++to) {
        if (to != kept[to]) std::memcpy(elements + to * bytes, elements + kept[to] * bytes, bytes);
      }
    }
  }
  skipped_ += missing.size();
  if (kept.empty()) throw_none_left(batch);
  report_skipped(batch, missing);
  return kept;
}

void WorkerPool::throw_none_left(const PublishedBatch& batch) const {
  const BatchRequest& request = arena_->slot(batch.slot).request;
  std::uint32_t chunk = 0;
  while (arena_->error(batch.slot, chunk).written.load() == 0) ++chunk;
  const ChunkError& error = arena_->error(batch.slot, chunk);
  throw RunError("loader", "none of the {} samples of a batch of {} can be read, for one sample {}: {}", request.count,
                 split_name(request.split), error.sample, error.text);
}

// `places` are those of the skipped samples.
void WorkerPool::report_skipped(const PublishedBatch& batch, std::span<const std::uint32_t> places) {
  constexpr std::size_t most_listed = 20;
  const BatchRequest& request = arena_->slot(batch.slot).request;
  const SplitInfo& split = splits_[request.split];
  const SampleOrder order(options_.seed, request.epoch, split.size, request.shuffle, &split.by_class);
  std::set<std::uint64_t> unnamed;
  for (const std::uint32_t place : places) {
    const std::uint64_t sample = order(request.first + place * request.stride);
    if (skipped_samples_.add(request.split, sample)) unnamed.insert(sample);
  }
  for (std::uint32_t chunk = 0; chunk < arena_->shape().chunks(); ++chunk) {
    const ChunkError& error = arena_->error(batch.slot, chunk);
    if (error.written.load() == 0 || unnamed.erase(error.sample) == 0) continue;
    log_warning("[loader] sample {} of {} is left out: {}", error.sample, split_name(request.split), error.text);
  }
  if (unnamed.empty()) return;
  log_warning("[loader] left out of the same batch: {} of {} ({})", count_of(unnamed.size(), "more sample"),
              split_name(request.split), first_few(unnamed, most_listed));
}

}  // namespace trainyard
