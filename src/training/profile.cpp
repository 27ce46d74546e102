#include "training/profile.h"

#include <charconv>

#include <torch/csrc/autograd/profiler_kineto.h>

#include "util/error.h"
#include "util/log.h"
#include "util/torch_errors.h"

namespace trainyard {
namespace {

std::optional<std::int64_t> positive(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 1) return std::nullopt;
  return value;
}

}  // namespace

StepRange parse_step_range(const std::string& text) {
  const std::size_t colon = text.find(':');
  const std::optional<std::int64_t> first = positive(std::string_view(text).substr(0, colon));
  const std::optional<std::int64_t> last =
      colon == std::string::npos ? first : positive(std::string_view(text).substr(colon + 1));
  if (!first || !last || *first > *last) {
    throw UsageError("train.profile", "is '{}'; allowed are steps of this process from 1 on, as 10:15", text);
  }
  return {*first, *last};
}

Profile::Profile(std::optional<StepRange> range, std::filesystem::path trace, at::Device device)
    : range_(range), trace_(std::move(trace)), device_(device) {
  start_if_due();
}

Profile::~Profile() {
  try {
    if (range_ && done_ < range_->first) {
      log_warning("[train.profile] step {} was not reached, so there is no trace", range_->first);
    } else if (recording_) {
      write();
    }
  } catch (const std::exception& error) {
    log_warning(message_of(error));
  }
}

void Profile::step_done() {
  ++done_;
  if (recording_ && done_ == range_->last) write();
  start_if_due();
}

void Profile::start_if_due() {
  if (range_ && done_ + 1 == range_->first) recording_.emplace(device_, InputShapes::recorded);
}

void Profile::write() {
  const auto recorded = recording_->stop();
  recording_.reset();
  // Kineto only logs that it cannot write: an older trace must not pass for this one.
  std::error_code error;
  std::filesystem::remove(trace_, error);
  if (error) throw RunError("train.profile", "cannot replace {}: {}", trace_.string(), error.message());
  recorded->save(trace_.string());
  if (!std::filesystem::exists(trace_)) {
    throw RunError("train.profile", "cannot write {}; is the disk full?", trace_.string());
  }
}

}  // namespace trainyard
