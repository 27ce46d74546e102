#include "training/product_rate.h"

#include <algorithm>

#include <ATen/ops/matmul.h>
#include <ATen/ops/randn.h>

#include "training/precision.h"
#include "training/recording.h"
#include "util/clock.h"

namespace trainyard {
namespace {

constexpr double seconds_to_measure = 0.5;

}  // namespace

double product_rate(at::Device device, Precision precision) {
  const at::NoGradGuard no_grad;
  const std::int64_t n = device.is_cpu() ? 1024 : 8192;
  const at::TensorOptions options = at::TensorOptions(device).dtype(product_type(precision));
  const at::Tensor a = at::randn({n, n}, at::TensorOptions(device)).to(options);
  const at::Tensor b = a.t().contiguous();
  const auto seconds = [&] {
    wait_for_device(device);
    const std::int64_t start = monotonic_ns();
    at::matmul(a, b);
    wait_for_device(device);
    return seconds_since(start);
  };
  double fastest = seconds();
  for (const std::int64_t start = monotonic_ns(); seconds_since(start) < seconds_to_measure;) {
    fastest = std::min(fastest, seconds());
  }
  return 2 * static_cast<double>(n * n * n) / fastest;
}

}  // namespace trainyard
