#include "training/recording.h"

#include <cstdlib>
#include <set>

#include <c10/core/impl/VirtualGuardImpl.h>
#include <torch/csrc/autograd/profiler_kineto.h>

#include "util/log.h"
#include "util/torch_errors.h"

namespace trainyard {

namespace profiler = torch::autograd::profiler;
using torch::profiler::impl::ActivityType;
using torch::profiler::impl::ProfilerConfig;
using torch::profiler::impl::ProfilerState;

void wait_for_device(at::Device device) {
  if (device.is_cuda()) c10::impl::VirtualGuardImpl(device.type()).synchronizeDevice(device.index());
}

Recording::Recording(at::Device device, InputShapes shapes) : device_(device) {
  const ProfilerConfig config(ProfilerState::KINETO, /*report_input_shapes=*/shapes == InputShapes::recorded);
  std::set<ActivityType> activities = {ActivityType::CPU};
  if (device_.is_cuda()) activities.insert(ActivityType::CUDA);
  // Without a GPU, Kineto reports on standard error that it finds none.
  if (device_.is_cpu()) setenv("KINETO_LOG_LEVEL", "99", /*overwrite=*/0);
  wait_for_device(device_);
  profiler::prepareProfiler(config, activities);
  profiler::enableProfiler(config, activities);
}

Recording::~Recording() {
  try {
    if (recording_) stop();
  } catch (const std::exception& error) {
    log_warning(message_of(error));
  }
}

std::unique_ptr<profiler::ProfilerResult> Recording::stop() {
  recording_ = false;
  wait_for_device(device_);
  return profiler::disableProfiler();
}

}  // namespace trainyard
