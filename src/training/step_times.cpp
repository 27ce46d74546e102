#include "training/step_times.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <numeric>
#include <optional>
#include <tuple>

#include <torch/csrc/autograd/profiler_kineto.h>

namespace trainyard {
namespace {

struct Rule {
  std::string_view part;  // of the name, in lower case
  OperationKind kind;
};

// The first rule whose part occurs in the name decides. Names are those of ATen's operations, of autograd's nodes, and
// of the kernels of ATen, cuDNN, cuBLAS, CUTLASS, NCCL and this project.
constexpr Rule rules[] = {
    {"nccl", OperationKind::all_reduce},
    {"gloo", OperationKind::all_reduce},
    {"allreduce", OperationKind::all_reduce},
    {"all_reduce", OperationKind::all_reduce},
    {"multi_tensor", OperationKind::optimizer},
    {"foreach", OperationKind::optimizer},
    {"fused_sgd", OperationKind::optimizer},
    {"fused_adam", OperationKind::optimizer},
    {"fusedsgd", OperationKind::optimizer},
    {"fusedadam", OperationKind::optimizer},
    {"attention", OperationKind::attention},
    {"flash", OperationKind::attention},
    {"fmha", OperationKind::attention},
    {"sdpa", OperationKind::attention},
    {"dot_do_o", OperationKind::attention},  // cuDNN's, like the next
    {"convert_dq_", OperationKind::attention},
    {"cross_entropy", OperationKind::elementwise},
    {"memcpy", OperationKind::copy},
    {"memset", OperationKind::copy},
    {"vector_norm", OperationKind::elementwise},
    {"norm", OperationKind::normalization},
    {"bn_fw", OperationKind::normalization},
    {"bn_bw", OperationKind::normalization},
    {"welford", OperationKind::normalization},
    {"gammabeta", OperationKind::normalization},
    {"sum_rows_kernel", OperationKind::normalization},  // layers/cuda/batch_norm_forward.cu
    {"pool", OperationKind::pooling},
    {"upsample", OperationKind::pooling},
    {"conv", OperationKind::convolution},
    {"fprop", OperationKind::convolution},
    {"dgrad", OperationKind::convolution},
    {"wgrad", OperationKind::convolution},
    {"winograd", OperationKind::convolution},
    {"nchwtonhwc", OperationKind::convolution},
    {"nhwctonchw", OperationKind::convolution},
    {"im2col", OperationKind::convolution},
    {"col2im", OperationKind::convolution},
    {"gemm", OperationKind::matrix_product},
    {"gemv", OperationKind::matrix_product},
    {"addmm", OperationKind::matrix_product},
    {"mmbackward", OperationKind::matrix_product},
    {"aten::mm", OperationKind::matrix_product},
    {"aten::bmm", OperationKind::matrix_product},
    {"aten::linear", OperationKind::matrix_product},
    {"matmul", OperationKind::matrix_product},
    {"splitk", OperationKind::matrix_product},
    {"nvjet", OperationKind::matrix_product},
    {"cublas", OperationKind::matrix_product},
    {"cutlass", OperationKind::matrix_product},
    {"copy", OperationKind::copy},
    {"clone", OperationKind::copy},
    {"contiguous", OperationKind::copy},
    {"aten::cat", OperationKind::copy},
    {"elementwise", OperationKind::elementwise},
    {"reduce", OperationKind::elementwise},
    {"softmax", OperationKind::elementwise},
    {"loss", OperationKind::elementwise},
    {"gelu", OperationKind::elementwise},
    {"dropout", OperationKind::elementwise},
    {"embedding", OperationKind::elementwise},
};

constexpr std::string_view aten = "aten::";

// What a rule says; nullopt if none does.
std::optional<OperationKind> kind_by_rule(std::string_view name) {
  std::string lower(name);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  for (const Rule& rule : rules) {
    if (lower.find(rule.part) != std::string::npos) return rule.kind;
  }
  return std::nullopt;
}

class Split {
 public:
  explicit Split(std::int64_t steps) : steps_(static_cast<double>(steps)) {}

  void add(OperationKind kind, std::int64_t ns) { times_.of_kind[static_cast<std::size_t>(kind)] += per_step(ns); }
  void add_call(const std::string& name, OperationKind kind, std::int64_t ns) {
    StepTimes::Operation& operation = operations_[{name, kind}];
    operation.calls += 1 / steps_;
    operation.seconds += per_step(ns);
  }

  StepTimes times() {
    for (auto& [key, operation] : operations_) {
      std::tie(operation.name, operation.kind) = key;
      times_.operations.push_back(operation);
    }
    std::stable_sort(times_.operations.begin(), times_.operations.end(),
                     [](const auto& a, const auto& b) { return a.seconds > b.seconds; });
    return times_;
  }

 private:
  double per_step(std::int64_t ns) const { return static_cast<double>(ns) * 1e-9 / steps_; }

  double steps_;
  StepTimes times_;
  std::map<std::pair<std::string, OperationKind>, StepTimes::Operation> operations_;
};

// Kernels of several streams may run at once.
void split_kernels(std::span<const RecordedCall> calls, Split& split) {
  struct Change {
    std::int64_t at_ns;
    OperationKind kind;
    int running;  // kernels more or fewer
  };
  std::vector<Change> changes;
  for (const RecordedCall& call : calls) {
    if (!call.on_gpu) continue;
    const OperationKind kind = kind_of_operation(call.name);
    split.add_call(call.name, kind, call.end_ns - call.begin_ns);
    changes.push_back({call.begin_ns, kind, 1});
    changes.push_back({call.end_ns, kind, -1});
  }
  std::sort(changes.begin(), changes.end(), [](const Change& a, const Change& b) { return a.at_ns < b.at_ns; });
  std::array<int, operation_kinds> running{};
  std::int64_t since = 0;
  for (const Change& change : changes) {
    const auto first = std::find_if(running.begin(), running.end(), [](int count) { return count > 0; });
    if (first != running.end()) {
      split.add(static_cast<OperationKind>(first - running.begin()), change.at_ns - since);
    }
    running[static_cast<std::size_t>(change.kind)] += change.running;
    since = change.at_ns;
  }
}

// Operations of a thread are nested.
void split_operations(std::span<const RecordedCall> calls, Split& split) {
  struct Open {
    const RecordedCall* call;
    std::optional<OperationKind> kind;  // by a rule, of it or of an operation that it is part of
    std::int64_t within_ns;             // the time of the operations directly within it
  };
  std::vector<const RecordedCall*> order;
  for (const RecordedCall& call : calls) order.push_back(&call);
  std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return std::tuple(a->thread, a->begin_ns, -a->end_ns) < std::tuple(b->thread, b->begin_ns, -b->end_ns);
  });
  std::vector<Open> stack;
  const auto close = [&] {
    const auto [call, kind, within_ns] = stack.back();
    stack.pop_back();
    const std::int64_t ns = call->end_ns - call->begin_ns;
    const OperationKind own = kind.value_or(kind_of_operation(call->name));
    split.add(own, std::max<std::int64_t>(ns - within_ns, 0));
    split.add_call(call->name, own, std::max<std::int64_t>(ns - within_ns, 0));
    if (!stack.empty()) stack.back().within_ns += ns;
  };
  for (const RecordedCall* const call : order) {
    while (!stack.empty() &&
           (stack.back().call->thread != call->thread || stack.back().call->end_ns <= call->begin_ns)) {
      close();
    }
    const std::optional<OperationKind> outer = stack.empty() ? std::nullopt : stack.back().kind;
    stack.push_back({call, outer ? outer : kind_by_rule(call->name), 0});
  }
  while (!stack.empty()) close();
}

}  // namespace

const char* to_string(OperationKind kind) {
  switch (kind) {
    case OperationKind::convolution:
      return "convolution";
    case OperationKind::matrix_product:
      return "matrix product";
    case OperationKind::attention:
      return "attention";
    case OperationKind::normalization:
      return "normalization";
    case OperationKind::pooling:
      return "pooling, resizing";
    case OperationKind::elementwise:
      return "elementwise, loss";
    case OperationKind::optimizer:
      return "optimizer";
    case OperationKind::copy:
      return "copies";
    case OperationKind::all_reduce:
      return "all-reduce";
    case OperationKind::other:
      break;
  }
  return "other";
}

OperationKind kind_of_operation(std::string_view name) {
  if (const std::optional<OperationKind> kind = kind_by_rule(name)) return *kind;
  return name.starts_with(aten) ? OperationKind::elementwise : OperationKind::other;
}

std::vector<RecordedCall> calls_of(const torch::autograd::profiler::ProfilerResult& recorded) {
  std::vector<RecordedCall> calls;
  for (const auto& event : recorded.events()) {
    const auto begin = static_cast<std::int64_t>(event.startNs());
    calls.push_back({.name = event.name(),
                     .begin_ns = begin,
                     .end_ns = begin + static_cast<std::int64_t>(event.durationNs()),
                     .thread = event.startThreadId(),
                     .on_gpu = event.deviceType() == c10::DeviceType::CUDA});
  }
  return calls;
}

double StepTimes::busy() const { return std::accumulate(of_kind.begin(), of_kind.end(), 0.0); }

StepTimes split_times(std::span<const RecordedCall> calls, std::int64_t steps) {
  Split split(steps);
  const bool on_gpu = std::any_of(calls.begin(), calls.end(), [](const RecordedCall& call) { return call.on_gpu; });
  if (on_gpu) {
    split_kernels(calls, split);
  } else {
    split_operations(calls, split);
  }
  return split.times();
}

}  // namespace trainyard
