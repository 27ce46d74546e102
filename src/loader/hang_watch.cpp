#include "loader/hang_watch.h"

#include <algorithm>
#include <fstream>
#include <string>

#include <fmt/format.h>

#include "loader/worker.h"
#include "util/error.h"

namespace trainyard {
namespace {

// What the kernel says a process is doing.
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

HangWatch::HangWatch(const Arena& arena, double timeout_seconds)
    : arena_(arena), timeout_ns_(static_cast<std::int64_t>(timeout_seconds * 1e9)), began_ns_(coarse_monotonic_ns()) {}

int HangWatch::milliseconds_left() {
  constexpr std::int64_t most_grace_ns = 1'000'000'000;
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
  if (samples != samples_) began_ns_ = now;
  samples_ = samples;

  const std::int64_t since = oldest != 0 ? oldest : began_ns_;
  if (now < since + timeout_ns_) {
    overdue_since_ = 0;
    return static_cast<int>(std::min<std::int64_t>((since + timeout_ns_ - now) / 1'000'000 + 1, 1'000'000'000));
  }
  // The clock also ran while all processes were stopped (Ctrl-Z, fg): who is late gets a moment more.
  const std::int64_t grace_ns = std::min(timeout_ns_, most_grace_ns);
  if (overdue_since_ == 0 || suspect_began_ != since) {
    overdue_since_ = now;
    suspect_began_ = since;
  }
  if (now < overdue_since_ + grace_ns) return static_cast<int>((overdue_since_ + grace_ns - now) / 1'000'000 + 1);

  const double seconds = static_cast<double>(now - since) * 1e-9;
  const double limit = static_cast<double>(timeout_ns_) * 1e-9;
  const WorkerRecord& record = arena_.worker(suspect);
  if (oldest != 0) {
    throw RunError(
        "loader",
        "worker {} (pid {}) has been reading sample {} of {} for {:.3g} s and is {}; loader.timeout is {:.3g} "
        "s, raise it if samples may take that long",
        suspect + 1, record.pid.load(), record.sample.load(), to_string(static_cast<Split>(record.split.load())),
        seconds, activity(record.pid), limit);
  }
  std::string activities;
  for (std::uint32_t worker = 0; worker < arena_.shape().workers; ++worker) {
    const std::int32_t pid = arena_.worker(worker).pid;
    activities += fmt::format("{}worker {} (pid {}) is {}", worker == 0 ? "" : ", ", worker + 1, pid, activity(pid));
  }
  throw RunError("loader", "no worker has read anything for {:.3g} s (loader.timeout is {:.3g} s): {}", seconds, limit,
                 activities);
}

}  // namespace trainyard
