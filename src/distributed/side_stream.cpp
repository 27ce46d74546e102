#include "distributed/side_stream.h"

#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

namespace trainyard {
namespace {

void wait_for(c10::Stream waiting, c10::Stream other) {
  c10::Event reached(other.device_type());
  reached.record(other);
  reached.block(waiting);
}

c10::Stream current_stream(c10::Stream of_device) {
  return c10::impl::VirtualGuardImpl(of_device.device_type()).getStream(of_device.device());
}

}  // namespace

SideStream::SideStream(at::Device device) {
  if (device.is_cpu()) return;
  stream_ = c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device, /*isHighPriority=*/true);
}

void SideStream::run(const std::function<void()>& work) {
  if (!stream_) return work();
  wait_for(*stream_, current_stream(*stream_));
  const c10::StreamGuard on_stream(*stream_);
  work();
}

void SideStream::join() {
  if (stream_) wait_for(current_stream(*stream_), *stream_);
}

}  // namespace trainyard
