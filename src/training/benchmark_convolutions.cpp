#include "training/benchmark_convolutions.h"

#include <ATen/Context.h>

namespace trainyard {

BenchmarkConvolutions::BenchmarkConvolutions(bool enabled) : before_(at::globalContext().benchmarkCuDNN()) {
  at::Context& context = at::globalContext();
  context.setBenchmarkCuDNN(enabled && !context.deterministicCuDNN());
}

BenchmarkConvolutions::~BenchmarkConvolutions() { at::globalContext().setBenchmarkCuDNN(before_); }

}  // namespace trainyard
