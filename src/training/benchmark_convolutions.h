/// Lets cuDNN measure which algorithms are the fastest.
#pragma once

namespace trainyard {

/// During its lifetime, LibTorch measures several of cuDNN's algorithms for each shape of convolution that it meets for
/// the first time, if `enabled`; otherwise cuDNN's heuristics choose one. The choice stays for the life of the process.
/// A measured step is about a tenth faster; measuring takes about 30 ms per convolution and direction. In deterministic
/// mode the heuristics always choose. The layers that measure their own choices follow it (layers/conv_norm.h,
/// layers/gelu_mlp.h). For the whole process: only one thread may use it at a time. Equivalent to
/// torch.backends.cudnn.benchmark.
class BenchmarkConvolutions {
 public:
  explicit BenchmarkConvolutions(bool enabled);
  ~BenchmarkConvolutions();
  BenchmarkConvolutions(const BenchmarkConvolutions&) = delete;
  BenchmarkConvolutions& operator=(const BenchmarkConvolutions&) = delete;

 private:
  bool before_;
};

}  // namespace trainyard
