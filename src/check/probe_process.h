/// Probes in a process of their own, so that a crash, a hang or a sticky CUDA error of one GPU is a finding and not the
/// end of the program. It must be a new program (exec), not a fork: CUDA does not work in a forked child.
#pragma once

#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include <sys/types.h>

#include "check/facts.h"
#include "util/system.h"

namespace trainyard {

/// The parent's side: a running process that probes one device, or several together. Not for use by several threads.
class ProbeProcess {
 public:
  /// Starts `command` (program and arguments). It is to write what `run_probe_child` writes. Throws RunError where it
  /// cannot be started.
  ProbeProcess(std::string device, const std::vector<std::string>& command, std::chrono::milliseconds limit);
  ProbeProcess(ProbeProcess&& other) noexcept;
  ProbeProcess& operator=(ProbeProcess&&) = delete;
  /// Kills the process if it still runs.
  ~ProbeProcess();

  /// Waits for the end, at most until `limit` after the start, then kills. Returns the probes that came back; the one
  /// during which the process died or was killed is "crashed" or "hung".
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
  std::string current_ = "start";  ///< the probe that runs
  std::string last_words_;         ///< the last line that was no result
  std::vector<ProbeFacts> probes_;
};

/// The child's side, what `trainyard check --probe 0` does: runs the probes of that GPU, or, for several as in 0,1, of
/// what they do together, and writes to `out` a line "starting NAME" before and a line of JSON after each. Returns the
/// exit code, 0. (check_torch.cpp)
int run_probe_child(const std::vector<int>& devices, bool full, std::FILE* out);

}  // namespace trainyard
