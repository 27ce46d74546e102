#include <algorithm>
#include <chrono>
#include <cmath>

#include <fmt/format.h>

#include <ATen/ops/conv2d.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/sin.h>
#include <ATen/ops/tanh.h>

#include "check/anonymous.h"
#include "check/one_thread.h"
#include "check/probe_body.h"
#include "util/text_lines.h"
#include "util/torch.h"

namespace trainyard {
namespace {

struct Operation {
  const char* name;
  std::vector<at::Tensor> inputs;  ///< on the CPU, double
  at::Tensor (*compute)(const std::vector<at::Tensor>&);
  double tolerance;  ///< fp32, relative to the largest expected value
};

std::vector<Operation> operations() {
  return {
      {"elementwise", {probe_numbers({1 << 14})}, [](const auto& in) { return at::tanh(at::exp(in[0]) - 1); }, 1e-5},
      {"matmul",
       {probe_numbers({128, 192}), probe_numbers({192, 160})},
       [](const auto& in) { return at::mm(in[0], in[1]); },
       1e-4},
      // cuDNN computes fp32 convolutions in TF32 (10-bit mantissa) by default.
      {"conv",
       {probe_numbers({2, 16, 28, 28}), probe_numbers({32, 16, 3, 3})},
       [](const auto& in) { return at::conv2d(in[0], in[1], {}, 1, 1); },
       5e-3},
  };
}

struct Precision {
  const char* name;
  at::ScalarType type;
  double least_tolerance;  ///< a few roundings of the result
};

constexpr Precision fp32{"fp32", at::kFloat, 0};
constexpr Precision bf16{"bf16", at::kBFloat16, 0.02};
constexpr Precision fp16{"fp16", at::kHalf, 0.005};

void compute(ProbeFacts& probe, const Operation& operation, const Precision& precision, const at::Device& device) {
  std::vector<at::Tensor> inputs;
  for (const at::Tensor& input : operation.inputs) inputs.push_back(input.to(device, precision.type));
  compare(probe, operation.compute(inputs), operation.compute(operation.inputs),
          std::max(operation.tolerance, precision.least_tolerance));
}

// Writes a pattern to `bytes` of GPU memory in blocks that stay allocated together, then reads every block.
void touch_memory(ProbeFacts& probe, const at::Device& device, std::uint64_t bytes) {
  constexpr std::int64_t block = 256 << 20;
  std::vector<at::Tensor> blocks;
  for (std::uint64_t taken = 0; taken + block <= bytes; taken += block) {
    const auto value = static_cast<std::int64_t>(blocks.size()) * 7919 + 1;
    blocks.push_back(at::full({block / 8}, value, at::TensorOptions(device).dtype(at::kLong)));
  }
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    if (blocks[i].eq(static_cast<std::int64_t>(i) * 7919 + 1).all().item<bool>()) continue;
    probe.outcome = "wrong";
    probe.message = fmt::format("block {} of {}, 256 MiB each, did not keep what was written", i, blocks.size());
    return;
  }
  probe.message = fmt::format("{:.1f} GiB", static_cast<double>(blocks.size()) / 4);
}

void copy_to_gpu(ProbeFacts& probe, const at::Device& device, bool pinned) {
  const at::Tensor host = at::ones({64 << 20}, at::TensorOptions(at::kByte).pinned_memory(pinned));
  host.to(device).sum().item();  // the first copy allocates buffers
  const auto start = std::chrono::steady_clock::now();
  constexpr int copies = 4;
  at::Tensor there;
  for (int i = 0; i < copies; ++i) there = host.to(device, /*non_blocking=*/true);
  there[0].item();  // synchronizes
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  probe.bytes_per_second = copies * static_cast<double>(host.numel()) / seconds.count();
  if (there.sum().item<std::int64_t>() != host.numel()) probe.outcome = "wrong";
}

}  // namespace

ProbeFacts run_probe(const std::string& device, const std::string& name, const std::function<void(ProbeFacts&)>& body) {
  ProbeFacts probe{device, name, "ok", "", 0, std::nan("")};
  const auto start = std::chrono::steady_clock::now();
  try {
    body(probe);
  } catch (const c10::Error& error) {
    probe.outcome = "error";
    probe.message = error.what_without_backtrace();
  } catch (const std::exception& error) {
    probe.outcome = "error";
    probe.message = error.what();
  }
  probe.message = anonymous(std::string(first_line(probe.message)));
  probe.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return probe;
}

at::Tensor probe_numbers(at::IntArrayRef shape) {
  const at::Tensor count = at::arange(c10::multiply_integers(shape), at::kDouble);
  return (at::sin(count * 0.7) * 64).round().div(64).reshape(shape);
}

void compare(ProbeFacts& probe, const at::Tensor& result, const at::Tensor& expected, double tolerance) {
  const at::Tensor difference = (result.to(at::kCPU).to(at::kDouble) - expected).abs().max();
  probe.max_error = difference.item<double>() / expected.abs().max().item<double>();
  if (probe.max_error <= tolerance) return;  // false for NaN
  probe.outcome = "wrong";
  probe.message = fmt::format("relative error {:.3g}, at most {:.3g} allowed", probe.max_error, tolerance);
}

ProbeFacts probe_kernel(int device, const SquarePlusOne& kernel) {
  return run_probe(fmt::format("cuda:{}", device), "own kernel", [&](ProbeFacts& probe) {
    const at::Tensor x = probe_numbers({1 << 14});
    const at::Tensor single = x.to(at::kFloat).contiguous();
    const std::vector<float> in(single.const_data_ptr<float>(), single.const_data_ptr<float>() + single.numel());
    std::vector<float> out;
    probe.message = kernel(device, in, out);
    if (!probe.message.empty()) {
      probe.outcome = "error";
    } else {
      compare(probe, at::tensor(out), x * x + 1, 1e-6);
    }
  });
}

void run_probes(const std::string& device, bool full, const ProbeListener& listener) {
  const auto probe = [&](const std::string& name, const std::function<void(ProbeFacts&)>& body) {
    listener.starting(name);
    listener.done(run_probe(device, name, body));
  };

  const OneThread one_thread;  // waking threads would take longer than the computations
  const at::Device where(device);
  if (where.is_cuda() && has_own_kernels()) {
    listener.starting("own kernel");
    listener.done(probe_kernel(where.index(), square_plus_one));
  }
  std::vector<Precision> precisions = {fp32, bf16};
  if (where.is_cuda()) precisions.push_back(fp16);
  for (const Operation& operation : operations()) {
    for (const Precision& precision : precisions) {
      probe(fmt::format("{} {}", operation.name, precision.name),
            [&](ProbeFacts& facts) { compute(facts, operation, precision, where); });
    }
  }
  if (!full || !where.is_cuda()) return;
  probe("copy", [&](ProbeFacts& facts) { copy_to_gpu(facts, where, false); });
  probe("copy pinned", [&](ProbeFacts& facts) { copy_to_gpu(facts, where, true); });
  if (!has_own_kernels()) return;
  probe("memory", [&](ProbeFacts& facts) { touch_memory(facts, where, free_device_memory(where.index()) / 2); });
}

}  // namespace trainyard
