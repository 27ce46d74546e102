/// Records a trace of some steps (training/recording.h): the time of each operation on the CPU and of each kernel on
/// the GPU. Open it in chrome://tracing or https://ui.perfetto.dev.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "training/recording.h"
#include "util/torch.h"

namespace trainyard {

/// Steps of this process, counted from 1, both included.
struct StepRange {
  std::int64_t first;
  std::int64_t last;
};

/// Parses "10:15" or "10". Throws UsageError "train.profile", with the allowed format, for anything else.
StepRange parse_step_range(const std::string& text);

/// Records the steps of a range and then writes the file, in place of an older one. If the run ends within the range,
/// writes the steps recorded so far; if it ends before, warns that there is no trace. Used from one thread. At most one
/// at a time.
class Profile {
 public:
  /// Without a range the object does nothing.
  Profile(std::optional<StepRange> range, std::filesystem::path trace, at::Device device);
  ~Profile();
  Profile(const Profile&) = delete;
  Profile& operator=(const Profile&) = delete;

  /// Call it after each step. Throws RunError if the trace cannot be written.
  void step_done();

 private:
  void start_if_due();
  void write();

  std::optional<StepRange> range_;
  std::filesystem::path trace_;
  at::Device device_;
  std::int64_t done_ = 0;
  std::optional<Recording> recording_;
};

}  // namespace trainyard
