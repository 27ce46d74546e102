#include <chrono>
#include <cstdlib>
#include <optional>

#include <dlfcn.h>
#include <fmt/format.h>
#include <sys/mman.h>

#include "check/group_probes.h"
#include "check/one_thread.h"
#include "check/probe_body.h"
#include "util/error.h"
#include "util/system.h"
#include "util/torch.h"

namespace trainyard {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t mebibyte = 1 << 20;
constexpr int repetitions = 8;  // of the timed operation, after one that sets up the connection

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

at::Device gpu(int index) { return {at::kCUDA, static_cast<c10::DeviceIndex>(index)}; }

// Waits for the device's queued work.
void wait_for(const at::Tensor& tensor) { tensor.flatten()[0].item(); }

// Compares values, because a faulty IOMMU setting lets a direct copy succeed but deliver wrong data.
void copy_between(ProbeFacts& probe, int from, int to) {
  const at::Tensor numbers = probe_numbers({4 * mebibyte}).to(at::kFloat);
  if (!at::equal(numbers.to(gpu(from)).to(gpu(to)).cpu(), numbers)) {
    probe.outcome = "wrong";
    probe.message = fmt::format("what cuda:{} copied to cuda:{} arrived changed", from, to);
    return;
  }
  const at::Tensor source = at::zeros({128 * mebibyte}, at::TensorOptions(gpu(from)).dtype(at::kByte));
  const at::Tensor copy = at::empty_like(source, source.options().device(gpu(to)));
  copy.copy_(source);
  wait_for(copy);
  const auto start = Clock::now();
  for (int i = 0; i < repetitions; ++i) copy.copy_(source, /*non_blocking=*/true);
  wait_for(copy);
  probe.bytes_per_second = repetitions * static_cast<double>(copy.nbytes()) / seconds_since(start);
  if (has_own_kernels() && !can_access_peer(to, from)) probe.message = no_peer_access;
}

/// The file to which NCCL writes its choices; must be created before the process's first communicator.
class NcclLog {
 public:
  NcclLog() : file_(check_call(memfd_create("nccl", MFD_CLOEXEC), "check", "memfd_create", "NCCL's log")) {
    if (std::getenv("NCCL_DEBUG") != nullptr) return;  // the user reads it
    is_asked_for_ = true;
    setenv("NCCL_DEBUG", "INFO", 1);
    setenv("NCCL_DEBUG_FILE", fmt::format("/proc/self/fd/{}", file_.get()).c_str(), 1);
  }
  // Programs started later would write to a descriptor of their own.
  ~NcclLog() {
    if (!is_asked_for_) return;
    unsetenv("NCCL_DEBUG");
    unsetenv("NCCL_DEBUG_FILE");
  }
  NcclLog(const NcclLog&) = delete;
  NcclLog& operator=(const NcclLog&) = delete;

  /// How data is sent between GPUs; if in several ways, the slowest: "P2P", "SHM" (the host's memory), "NET" (sockets).
  /// Empty: unknown.
  std::string transport() const {
    const std::string text = read_text_file(fmt::format("/proc/self/fd/{}", file_.get()), "check");
    for (const char* const name : {"NET", "SHM", "P2P"}) {
      if (text.find(fmt::format(" via {}/", name)) != std::string::npos) return name;
    }
    return "";
  }

 private:
  UniqueFd file_;
  bool is_asked_for_ = false;
};

/// NCCL as loaded by LibTorch, called by name: its interface is stable, but its header is not always installed.
class Nccl {
 public:
  using Communicator = void*;

  /// Creates one communicator per device. Throws RunError with NCCL's message.
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

// Sums and verifies values that differ between GPUs, then times sums of `bytes`.
void all_reduce(ProbeFacts& probe, const std::vector<int>& devices, Nccl& nccl, std::int64_t bytes) {
  const at::Tensor numbers = probe_numbers({mebibyte / 4}).to(at::kFloat);
  const auto count = static_cast<double>(devices.size());
  std::vector<at::Tensor> tensors;
  std::vector<at::Tensor> large;
  for (std::size_t i = 0; i < devices.size(); ++i) {
    tensors.push_back((numbers * static_cast<double>(i + 1)).to(gpu(devices[i])));
    large.push_back(at::zeros({bytes / 4}, tensors.back().options()));
    wait_for(large.back());
  }
  nccl.all_reduce(tensors);
  const at::Tensor expected = numbers.to(at::kDouble) * (count * (count + 1) / 2);
  for (std::size_t i = 0; i < devices.size() && probe.outcome == "ok"; ++i) {
    compare(probe, tensors[i], expected, 1e-5);
    if (probe.outcome != "ok") probe.message += fmt::format(", on cuda:{}", devices[i]);
  }
  nccl.all_reduce(large);
  for (const at::Tensor& tensor : large) wait_for(tensor);
  const auto start = Clock::now();
  for (int i = 0; i < repetitions; ++i) nccl.all_reduce(large);
  for (const at::Tensor& tensor : large) wait_for(tensor);
  // The traffic per link, as NCCL's own tests compute it (bus bandwidth).
  probe.bytes_per_second = repetitions * static_cast<double>(bytes) * 2 * (count - 1) / count / seconds_since(start);
}

}  // namespace

void run_group_probes(const std::vector<int>& devices, const ProbeListener& listener) {
  const OneThread one_thread;
  const auto probe = [&](const std::string& name, const std::function<void(ProbeFacts&)>& body) {
    listener.starting(name);
    listener.done(run_probe("gpus", name, body));
  };
  for (const int from : devices) {
    for (const int to : devices) {
      if (from == to) continue;
      probe(fmt::format("{}{}>{}", peer_copy, from, to), [&](ProbeFacts& facts) { copy_between(facts, from, to); });
    }
  }
  const NcclLog log;
  std::optional<Nccl> nccl;
  // The sizes of a small and a large gradient bucket, and one that saturates the links.
  for (const std::int64_t size : {1, 25, 256}) {
    probe(fmt::format("{}{} MiB", all_reduce_of, size), [&](ProbeFacts& facts) {
      if (!nccl) nccl.emplace(devices);
      all_reduce(facts, devices, *nccl, size * mebibyte);
      if (facts.outcome == "ok") facts.message = log.transport();
    });
  }
}

}  // namespace trainyard
