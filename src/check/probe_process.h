/// Runs probes in a separate process, so that a crash, a hang or a sticky CUDA error of one GPU is a finding and does
/// not end this program. It must be a new program (exec), not a fork: CUDA does not work in a forked child.
#pragma once

#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include <sys/types.h>

#include "check/facts.h"
#include "util/system.h"

namespace trainyard {

/// The parent's side: a running process that probes one device, or several together. Not thread-safe.
class ProbeProcess {
 public:
  /// Starts `command` (program and arguments), which must write what `run_probe_child` writes. Throws RunError if it
  /// cannot be started.
  ProbeProcess(std::string device, const std::vector<std::string>& command, std::chrono::milliseconds limit);
  ProbeProcess(ProbeProcess&& other) noexcept;
  ProbeProcess& operator=(ProbeProcess&&) = delete;
  /// Kills the process if it still runs.
  ~ProbeProcess();

  /// Waits for the process until `limit` after its start, then kills it. Returns the completed probes; the probe during
  /// which the process died or was killed is "crashed" or "hung".
  std::vector<ProbeFacts> finish();

 private:
  bool read_all();
  void take_line(const std::string& line);
  int reap(bool killed);
  void add_failure(const char* outcome, std::string message);

  std::string device_;
  std::chrono::steady_clock::time_point deadline_;
  std::chrono::milliseconds limit_;
  pid_t pid_ = -1;
  UniqueFd output_;
  std::string current_ = "start";  ///< the probe that is running
  std::string last_words_;         ///< the last line that was not a result
  std::vector<ProbeFacts> probes_;
};

/// The child's side, which `trainyard check --probe 0` runs: the probes of that GPU, or, for several (e.g. 0,1), the
/// group probes. Writes to `out` a line "starting NAME" before each probe and a line of JSON after it. Returns the exit
/// code, 0. (check_torch.cpp)
int run_probe_child(const std::vector<int>& devices, bool full, std::FILE* out);

}  // namespace trainyard
