#include <chrono>
#include <memory>

#include <dlfcn.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "check/probe_body.h"
#include "util/error.h"
#include "util/torch.h"

namespace trainyard {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

at::Device gpu(int index) { return {at::kCUDA, static_cast<c10::DeviceIndex>(index)}; }

// Waits for what was asked of the device so far.
void wait_for(const at::Tensor& tensor) { tensor.flatten()[0].item(); }

// Every copy must bring the same numbers: with a faulty IOMMU setting a direct copy succeeds and brings others.
void copy_between(ProbeFacts& probe, const std::vector<int>& devices) {
  const at::Tensor numbers = probe_numbers({1 << 22}).to(at::kFloat);  // 16 MiB
  std::vector<std::string> without_access;
  for (const int from : devices) {
    const at::Tensor source = numbers.to(gpu(from));
    for (const int to : devices) {
      if (from == to) continue;
      if (has_own_kernels() && !can_access_peer(to, from)) without_access.push_back(fmt::format("{}>{}", from, to));
      wait_for(source.to(gpu(to)));  // the first copy sets the road up
      const auto start = Clock::now();
      const at::Tensor copy = source.to(gpu(to));
      wait_for(copy);
      const double rate = static_cast<double>(copy.nbytes()) / seconds_since(start);
      if (probe.bytes_per_second == 0 || rate < probe.bytes_per_second) probe.bytes_per_second = rate;
      if (at::equal(copy.cpu(), numbers)) continue;
      probe.outcome = "wrong";
      probe.message = fmt::format("what cuda:{} copied to cuda:{} arrived changed", from, to);
      return;
    }
  }
  if (!without_access.empty()) probe.message = fmt::format("no peer access: {}", fmt::join(without_access, " "));
}

/// NCCL as LibTorch loaded it, called by name: its interface is stable, its header is not always there.
class Nccl {
 public:
  using Communicator = void*;

  /// One communicator a device. Throws RunError in NCCL's words.
  explicit Nccl(const std::vector<int>& devices) : communicators_(devices.size()) {
    check(function<int(Communicator*, int, const int*)>("ncclCommInitAll")(
              communicators_.data(), static_cast<int>(devices.size()), devices.data()),
          "ncclCommInitAll");
  }
  ~Nccl() {
    for (Communicator communicator : communicators_) function<int(Communicator)>("ncclCommDestroy")(communicator);
  }
  Nccl(const Nccl&) = delete;
  Nccl& operator=(const Nccl&) = delete;

  /// Sums the fp32 tensors, one on each device, in place, on each device's default stream.
  void all_reduce(const std::vector<at::Tensor>& tensors) {
    constexpr int fp32 = 7;
    constexpr int sum = 0;
    auto* reduce = function<int(const void*, void*, std::size_t, int, int, Communicator, void*)>("ncclAllReduce");
    check(function<int()>("ncclGroupStart")(), "ncclGroupStart");
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      void* data = tensors[i].data_ptr();
      check(reduce(data, data, static_cast<std::size_t>(tensors[i].numel()), fp32, sum, communicators_[i], nullptr),
            "ncclAllReduce");
    }
    check(function<int()>("ncclGroupEnd")(), "ncclGroupEnd");
  }

 private:
  template <typename Function>
  static Function* function(const char* name) {
    auto* found = reinterpret_cast<Function*>(dlsym(RTLD_DEFAULT, name));
    if (!found) throw RunError("check", "NCCL error: {} is not in this program", name);
    return found;
  }

  static void check(int result, const char* call) {
    if (result == 0) return;
    const char* text = function<const char*(int)>("ncclGetErrorString")(result);
    const char* last = function<const char*(void*)>("ncclGetLastError")(nullptr);
    throw RunError("check", "NCCL error {} in {}: {}; {}", result, call, text, last ? last : "");
  }

  std::vector<Communicator> communicators_;
};

void all_reduce(ProbeFacts& probe, const std::vector<int>& devices) {
  const at::Tensor numbers = probe_numbers({1 << 22}).to(at::kFloat);
  std::vector<at::Tensor> tensors;
  for (std::size_t i = 0; i < devices.size(); ++i) {
    tensors.push_back((numbers * static_cast<double>(i + 1)).to(gpu(devices[i])));
    wait_for(tensors.back());
  }
  Nccl nccl(devices);
  nccl.all_reduce(tensors);
  const auto count = static_cast<double>(devices.size());
  const at::Tensor expected = numbers.to(at::kDouble) * (count * (count + 1) / 2);
  for (std::size_t i = 0; i < devices.size() && probe.outcome == "ok"; ++i) {
    compare(probe, tensors[i], expected, 1e-5);
    if (probe.outcome != "ok") probe.message += fmt::format(", on cuda:{}", devices[i]);
  }
  const auto start = Clock::now();
  nccl.all_reduce(tensors);
  for (const at::Tensor& tensor : tensors) wait_for(tensor);
  // What each link carries, as NCCL's own tests count.
  probe.bytes_per_second = static_cast<double>(numbers.nbytes()) * 2 * (count - 1) / count / seconds_since(start);
}

}  // namespace

void run_group_probes(const std::vector<int>& devices, const ProbeListener& listener) {
  const OneThread one_thread;
  const auto probe = [&](const std::string& name, const std::function<void(ProbeFacts&)>& body) {
    listener.starting(name);
    listener.done(run_probe("gpus", name, body));
  };
  probe("peer copy", [&](ProbeFacts& facts) { copy_between(facts, devices); });
  probe("all-reduce", [&](ProbeFacts& facts) { all_reduce(facts, devices); });
}

}  // namespace trainyard
