#include "training/seed.h"

#include <mutex>
#include <vector>

#include <ATen/Context.h>

namespace trainyard {

void seed_generators(at::Device device, std::uint64_t seed) {
  std::vector<at::Device> devices = {at::kCPU};
  if (!device.is_cpu()) devices.push_back(device);
  for (const at::Device each : devices) {
    at::Generator generator = at::globalContext().defaultGenerator(each);
    const std::scoped_lock lock(generator.mutex());
    generator.set_current_seed(seed);
  }
}

}  // namespace trainyard
