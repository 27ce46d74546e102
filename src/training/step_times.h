/// Splits the time of recorded steps by kind of operation.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace torch::autograd::profiler {
struct ProfilerResult;
}

namespace trainyard {

/// In the order in which they are shown. While several kernels run at once, the time counts for the first of their
/// kinds: that of copies and the all-reduce is what other kernels do not hide.
enum class OperationKind : std::uint8_t {
  convolution,
  matrix_product,
  attention,
  normalization,
  pooling,      ///< and resizing
  elementwise,  ///< and reductions, e.g. activations and the loss
  optimizer,
  other,
  copy,
  all_reduce,
};
inline constexpr std::size_t operation_kinds = 10;

/// "convolution", "matrix product", ...
const char* to_string(OperationKind kind);

/// Returns the kind of an operation or a kernel by its name, as PyTorch's profiler reports it. A name that no rule
/// knows is `other`.
OperationKind kind_of_operation(std::string_view name);

/// An operation on the CPU, possibly within another one of its thread, or a kernel on the GPU.
struct RecordedCall {
  std::string name;
  std::int64_t begin_ns = 0;
  std::int64_t end_ns = 0;
  std::uint64_t thread = 0;  ///< of an operation on the CPU
  bool on_gpu = false;
};

std::vector<RecordedCall> calls_of(const torch::autograd::profiler::ProfilerResult& recorded);

/// Seconds are per step.
struct StepTimes {
  struct Operation {
    std::string name;
    OperationKind kind = OperationKind::other;
    double calls = 0;    ///< per step
    double seconds = 0;  ///< without the operations within it
  };

  std::array<double, operation_kinds> of_kind{};
  std::vector<Operation> operations;  ///< longest first

  double of(OperationKind kind) const { return of_kind[static_cast<std::size_t>(kind)]; }
  /// The time in which anything runs.
  double busy() const;
};

/// Splits the time of the kernels or, if nothing ran on a GPU, of the operations. An operation that is part of a
/// convolution, an attention etc. counts for that.
StepTimes split_times(std::span<const RecordedCall> calls, std::int64_t steps);

}  // namespace trainyard
