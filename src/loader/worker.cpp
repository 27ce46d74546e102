#include "loader/worker.h"

#include <algorithm>
#include <cstring>
#include <exception>

#include <fmt/format.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "loader/sample_order.h"
#include "util/error.h"

namespace trainyard {
namespace {

std::int64_t read_clock(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

// The chunk's samples, in order; throws what the first bad one throws.
void read_samples(const Arena& arena, const Claim& claim, std::span<const LoadedSplit> splits, std::uint64_t seed,
                  WorkerRecord& record) {
  const BatchRequest& request = arena.slot(claim.slot).request;
  const LoadedSplit& split = splits[request.split];
  const Dataset& dataset = *split.dataset;
  const SampleOrder order(seed, request.epoch, dataset.size(), request.shuffle);
  const std::size_t sample_bytes = split.spec().bytes();
  const auto classes = static_cast<std::int64_t>(dataset.class_names().size());
  const std::span<std::byte> images = arena.images(claim.slot);
  const std::span<std::int64_t> labels = arena.labels(claim.slot);

  const std::uint32_t begin = claim.chunk * arena.shape().chunk_size();
  const std::uint32_t end = std::min(begin + arena.shape().chunk_size(), request.count);
  record.split.store(request.split, std::memory_order_relaxed);
  for (std::uint32_t i = begin; i < end; ++i) {
    const std::uint64_t index = order(request.first + i * request.stride);
    record.sample.store(index, std::memory_order_relaxed);
    record.started_ns.store(coarse_monotonic_ns(), std::memory_order_release);
    const std::span<std::byte> image = images.subspan(i * sample_bytes, sample_bytes);
    const std::int64_t label = split.read(index, seed, request.epoch, image);
    if (label < 0 || label >= classes) {
      throw RunError("loader", "the label is {}, there are {} classes", label, classes);
    }
    labels[i] = label;
  }
  record.samples.fetch_add(end - begin, std::memory_order_relaxed);
}

void note_error(ChunkError& error, std::uint64_t sample, std::string_view text) {
  error.sample = sample;
  const std::size_t length = std::min(text.size(), sizeof error.text - 1);
  std::memcpy(error.text, text.data(), length);
  error.text[length] = '\0';
}

}  // namespace

std::int64_t monotonic_ns() { return read_clock(CLOCK_MONOTONIC); }
std::int64_t coarse_monotonic_ns() { return read_clock(CLOCK_MONOTONIC_COARSE); }

bool fill_one_chunk(const Arena& arena, std::span<const LoadedSplit> splits, std::uint64_t seed, std::uint32_t worker,
                    bool* settled_batch) {
  Tickets tickets(arena);
  const std::optional<Claim> claim = tickets.claim(worker);
  if (!claim) return false;

  WorkerRecord& record = arena.worker(worker);
  ChunkError& error = arena.error(claim->slot, claim->chunk);
  const std::int64_t began = monotonic_ns();
  ChunkState state = ChunkState::done;
  try {
    read_samples(arena, *claim, splits, seed, record);
  } catch (const std::exception& e) {
    note_error(error, record.sample, e.what());
    state = ChunkState::failed;
  } catch (...) {
    note_error(error, record.sample, "something that is no std::exception was thrown");
    state = ChunkState::failed;
  }
  record.started_ns.store(0, std::memory_order_release);
  record.busy_ns.fetch_add(static_cast<std::uint64_t>(monotonic_ns() - began), std::memory_order_relaxed);
  const bool settled = tickets.settle(*claim, worker, state);
  if (settled_batch != nullptr) *settled_batch = settled;
  return true;
}

void run_worker(const Arena& arena, std::span<const LoadedSplit> splits, std::uint64_t seed, std::uint32_t worker,
                pid_t parent, int ready_fd) noexcept {
  constexpr int lower_priority = 5;  // when training uses all the cores itself, its threads go first
  constexpr int seconds_between_looks_at_parent = 5;
  prctl(PR_SET_NAME, fmt::format("loader {}/{}", worker + 1, arena.shape().workers).c_str());
  setpriority(PRIO_PROCESS, 0, lower_priority);

  const Tickets tickets(arena);
  while (getppid() == parent) {
    const std::uint32_t seen = tickets.work_seen();
    bool settled_batch = false;
    while (fill_one_chunk(arena, splits, seed, worker, &settled_batch)) {
      if (settled_batch) eventfd_write(ready_fd, 1);
    }
    tickets.wait_for_work(seen, seconds_between_looks_at_parent);
  }
  _exit(0);
}

}  // namespace trainyard
