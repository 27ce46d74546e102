/// Lets cuDNN measure which algorithms are the fastest.
#pragma once

namespace trainyard {

/// During its lifetime, LibTorch measures several of cuDNN's algorithms for each shape of convolution that it meets for
/// the first time, if `enabled`; otherwise cuDNN's heuristics choose one. The choice stays for the life of the process.
/// With measured choices a step of ResNet-18 is 8 % faster on an H200; measuring takes about 30 ms per convolution and
/// direction. In deterministic
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
