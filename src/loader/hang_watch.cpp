#include "loader/hang_watch.h"

#include <algorithm>
#include <fstream>
#include <string>

#include <fmt/format.h>

#include "datasets/dataset.h"
#include "util/clock.h"

namespace trainyard {
namespace {

// The state of a process according to the kernel.
std::string_view activity(std::int32_t pid) {
  std::ifstream status(fmt::format("/proc/{}/status", pid));
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with("State:")) continue;
    if (line.find("T (") != std::string::npos || line.find("t (") != std::string::npos) return "stopped by a signal";
    if (line.find("D (") != std::string::npos) return "waiting for a disk or a network";
    if (line.find("R (") != std::string::npos) return "computing";
    return "sleeping";
  }
  return "gone";
}

}  // namespace

HangWatch::HangWatch(const Arena& arena, std::span<const PublishedBatch> batches, double timeout_seconds)
    : arena_(arena),
      batches_(batches),
      timeout_ns_(static_cast<std::int64_t>(timeout_seconds * 1e9)),
      next_look_ns_(coarse_monotonic_ns() + timeout_ns_),
      progress_ns_(coarse_monotonic_ns()) {}

int HangWatch::milliseconds_left() const {
  return static_cast<int>(std::clamp<std::int64_t>((next_look_ns_ - coarse_monotonic_ns()) / 1'000'000 + 1, 1, 1000));
}

std::optional<Hang> HangWatch::look() {
  constexpr std::int64_t max_grace_ns = 1'000'000'000;
  constexpr std::int64_t repeat_report_ns = 5'000'000'000;
  const std::int64_t now = coarse_monotonic_ns();

  std::uint64_t samples = 0;
  std::int64_t oldest = 0;
  std::uint32_t suspect = 0;
  for (std::uint32_t worker = 0; worker < arena_.shape().workers; ++worker) {
    const WorkerRecord& record = arena_.worker(worker);
    samples += record.samples;
    const std::int64_t started = record.started_ns.load(std::memory_order_acquire);
    if (started != 0 && (oldest == 0 || started < oldest)) {
      oldest = started;
      suspect = worker;
    }
  }
  if (samples != samples_) progress_ns_ = now;
  samples_ = samples;

  const std::int64_t since = oldest != 0 ? oldest : progress_ns_;
  if (now < since + timeout_ns_) {
    overdue_since_ = 0;
    next_look_ns_ = since + timeout_ns_;
    return std::nullopt;
  }
  // The clock also ran while all processes were stopped (Ctrl-Z, fg), so a late worker gets a moment more.
  if (overdue_since_ == 0 || suspect_began_ != since) {
    overdue_since_ = now;
    suspect_began_ = since;
    next_look_ns_ = now + std::min(timeout_ns_, max_grace_ns);
  }
  if (now < next_look_ns_) return std::nullopt;
  next_look_ns_ = now + repeat_report_ns;
  const double seconds = static_cast<double>(now - since) * 1e-9;
  return oldest != 0 ? reading_too_long(suspect, seconds) : nobody_reads(seconds);
}

Hang HangWatch::reading_too_long(std::uint32_t worker, double seconds) const {
  const WorkerRecord& record = arena_.worker(worker);
  return {{worker},
          fmt::format("worker {} (pid {}) has been reading sample {} of {} for {:.3g} s and is {}; loader.timeout is "
                      "{:.3g} s, raise it if samples may take that long",
                      worker + 1, record.pid.load(), record.sample.load(),
                      to_string(static_cast<Split>(record.split.load())), seconds, activity(record.pid),
                      static_cast<double>(timeout_ns_) * 1e-9)};
}

Hang HangWatch::nobody_reads(double seconds) const {
  Hang hang{waited_for(), ""};
  for (const std::uint32_t worker : hang.workers) {
    const std::int32_t pid = arena_.worker(worker).pid;
    hang.what +=
        fmt::format("{}worker {} (pid {}) is {}", hang.what.empty() ? "" : ", ", worker + 1, pid, activity(pid));
  }
  hang.what = fmt::format("no worker has read anything for {:.3g} s (loader.timeout is {:.3g} s): {}", seconds,
                          static_cast<double>(timeout_ns_) * 1e-9, hang.what);
  return hang;
}

// The workers that own a chunk of the batches; if there are none, all workers.
std::vector<std::uint32_t> HangWatch::waited_for() const {
  std::vector<std::uint32_t> owners;
  std::vector<std::uint32_t> all;
  for (std::uint32_t worker = 0; worker < arena_.shape().workers; ++worker) {
    all.push_back(worker);
    const auto owns_one_of = [&](const PublishedBatch& batch) {
      return Tickets(arena_).claim_of(worker, batch).has_value();
    };
    if (std::any_of(batches_.begin(), batches_.end(), owns_one_of)) owners.push_back(worker);
  }
  return owners.empty() ? all : owners;
}

}  // namespace trainyard
