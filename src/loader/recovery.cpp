#include "loader/recovery.h"

#include <algorithm>
#include <cstring>

#include "loader/worker.h"
#include "util/error.h"
#include "util/log.h"

namespace trainyard {
namespace {

constexpr int max_idle_deaths = 10;

std::string sample_name(const WorkerRecord& record) {
  return fmt::format("sample {} of {}", record.sample.load(), to_string(static_cast<Split>(record.split.load())));
}

}  // namespace

Recovery::Recovery(Zygote& zygote, OnWorkerError policy, const SkippedSamples& skipped)
    : zygote_(zygote), policy_(policy), skipped_(skipped), watched_(zygote.arena().shape().workers) {}

void Recovery::workers_hang(const Hang& hang) {
  if (policy_ == OnWorkerError::stop) throw RunError("loader", "{}", hang.what);
  for (const std::uint32_t worker : hang.workers) {
    if (!watched_[worker].killed_for.empty()) {
      throw RunError("loader", "{}; it was killed seconds ago and has not ended", hang.what);
    }
    watched_[worker].killed_for = hang.what;
    zygote_.kill_worker(worker, zygote_.arena().worker(worker).pid);
  }
}

void Recovery::worker_ended(const WorkerExit& exit, std::span<const PublishedBatch> published) {
  if (exit.pid < 0) {
    throw RunError("loader", "fork (worker {}): {}; see `ulimit -u` and the container's limit of processes",
                   exit.worker + 1, std::strerror(exit.fork_error));
  }
  WorkerRecord& record = zygote_.arena().worker(exit.worker);
  Watched& watched = watched_[exit.worker];
  const bool was_reading = record.started_ns.load(std::memory_order_acquire) != 0;
  std::string cause = std::exchange(watched.killed_for, "");
  ++(cause.empty() ? counts_.deaths : counts_.hangs);
  if (cause.empty()) {
    cause = fmt::format("worker {} (pid {}) {} {}", exit.worker + 1, exit.pid, zygote_.describe_end(exit.status),
                        was_reading ? "while reading " + sample_name(record) : "while it was reading no sample");
  }
  if (policy_ == OnWorkerError::stop) {
    throw RunError("loader", "{}; loader.workers = 0 reads in the training process, for a debugger", cause);
  }

  std::string consequence;
  for (const PublishedBatch& batch : published) {
    const auto claim = Tickets(zygote_.arena()).claim_of(exit.worker, batch);
    if (!claim) continue;
    if (was_reading && !batch.cancelled) consequence = blame_sample(*claim, record, cause);
    Tickets(zygote_.arena()).take_back(*claim, batch.cancelled ? ChunkState::done : ChunkState::free);
  }
  if (!was_reading) blame_worker(exit.worker, cause);
  record.started_ns = 0;
  if (!was_reading || !skipped_.contains(record.split, record.sample)) {
    log_warning("[loader] {}; {}a new worker takes its place", cause, consequence);
  }
  zygote_.fork_worker(exit.worker);
}

// Counts an attempt at the sample that a lost worker was reading; returns what happens to the sample, in words.
std::string Recovery::blame_sample(const Claim& claim, const WorkerRecord& record, const std::string& cause) {
  const std::uint32_t place = record.place;
  const int times = count_try(claim.batch, place);
  if (times < max_tries) {
    ++counts_.retries;
    return fmt::format("the sample is tried again ({} of {}), ", times + 1, max_tries);
  }
  if (policy_ == OnWorkerError::retry) {
    throw RunError("loader", "{}; it was tried {} times. loader.on_worker_error = skip leaves such samples out", cause,
                   times);
  }
  note_error(zygote_.arena().error(claim.slot, claim.chunk), record.sample, cause);
  zygote_.arena().left_out(claim.slot)[place].store(1);
  return "the sample is left out, ";
}

void Recovery::blame_worker(std::uint32_t worker, const std::string& cause) {
  Watched& watched = watched_[worker];
  const std::uint64_t samples = zygote_.arena().worker(worker).samples;
  watched.idle_deaths = samples == std::exchange(watched.samples_at_death, samples) ? watched.idle_deaths + 1 : 1;
  if (watched.idle_deaths < max_idle_deaths) return;
  throw RunError("loader", "{}; that was the {}th time in a row that it ended without having read a sample", cause,
                 max_idle_deaths);
}

int Recovery::count_try(std::uint64_t batch, std::uint32_t place) {
  const auto found = std::find_if(tried_.begin(), tried_.end(),
                                  [&](const Tried& tried) { return tried.batch == batch && tried.place == place; });
  if (found != tried_.end()) return ++found->times;
  tried_.push_back({batch, place, 1});
  return 1;
}

void Recovery::forget_until(std::uint64_t batch) {
  std::erase_if(tried_, [batch](const Tried& tried) { return tried.batch <= batch; });
}

}  // namespace trainyard
