#include "training/profile.h"

#include <charconv>
#include <set>

#include <c10/core/impl/VirtualGuardImpl.h>
#include <torch/csrc/autograd/profiler_kineto.h>

#include "util/error.h"
#include "util/log.h"

namespace trainyard {
namespace {

namespace profiler = torch::autograd::profiler;
using torch::profiler::impl::ActivityType;
using torch::profiler::impl::ProfilerConfig;
using torch::profiler::impl::ProfilerState;

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
  start_where_due();
}

Profile::~Profile() {
  try {
    if (recording_) write();
  } catch (const std::exception& error) {
    log_warning(error.what());
  }
}

void Profile::step_done() {
  ++done_;
  if (recording_ && done_ == range_->last) write();
  start_where_due();
}

void Profile::start_where_due() {
  if (!range_ || done_ + 1 != range_->first) return;
  const ProfilerConfig config(ProfilerState::KINETO, /*report_input_shapes=*/true);
  std::set<ActivityType> activities = {ActivityType::CPU};
  if (device_.is_cuda()) activities.insert(ActivityType::CUDA);
  wait_for_device();
  profiler::prepareProfiler(config, activities);
  profiler::enableProfiler(config, activities);
  recording_ = true;
}

// A GPU runs behind the CPU: otherwise the trace would contain kernels of earlier steps and miss those of the last
// steps.
void Profile::wait_for_device() const {
  if (device_.is_cuda()) c10::impl::VirtualGuardImpl(device_.type()).synchronizeDevice(device_.index());
}

void Profile::write() {
  recording_ = false;
  wait_for_device();
  profiler::disableProfiler()->save(trace_.string());
  if (!std::filesystem::exists(trace_)) {
    throw RunError("train.profile", "cannot write {}; is the disk full?", trace_.string());
  }
}

}  // namespace trainyard
