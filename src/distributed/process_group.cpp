#include "distributed/process_group.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <sstream>
#include <string_view>

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>

#include "distributed/connect_store.h"
#include "distributed/fault_watch.h"
#include "distributed/nccl.h"
#include "distributed/store_text.h"
#include "util/log.h"
#include "util/printable.h"
#include "util/text_lines.h"
#include "util/torch_errors.h"

namespace trainyard {
namespace {

using std::chrono::milliseconds;

constexpr const char* where = "distributed";

[[noreturn]] void throw_lost(const Rank& rank, const char* what, std::string_view why) {
  throw RanksLost(where,
                  "rank {} of {} got no answer from the other ranks ({}): {}; one of them has ended, hangs, or takes "
                  "longer than distributed.timeout",
                  rank.rank, rank.world_size, what, first_line(why));
}

// Runs `work`, which waits for other ranks, and converts its errors to RanksLost.
template <typename Work>
auto with_errors_of_ranks(const Rank& rank, const char* what, Work work) {
  try {
    return work();
  } catch (const Error&) {
    throw;
  } catch (const c10::Error& error) {
    throw_lost(rank, what, error.what_without_backtrace());
  } catch (const std::exception& error) {  // from Gloo: a connection was closed
    throw_lost(rank, what, error.what());
  }
}

constexpr const char* memory_key = "trainyard/remembered";

// A separate key space per restart, so that values of earlier attempts are not read.
c10::intrusive_ptr<c10d::Store> of_this_attempt(const Rank& rank, const c10::intrusive_ptr<c10d::Store>& store) {
  return c10::make_intrusive<c10d::PrefixStore>("trainyard/" + std::to_string(rank.restarts), store);
}

// `work` is null for NCCL operations on the current stream, which need no wait.
void wait_for(const c10::intrusive_ptr<c10d::Work>& work) {
  if (work) work->wait();
}

// Like torch.distributed: uses the interfaces listed in GLOO_SOCKET_IFNAME, otherwise the interface with the address of
// this host's name. The ranks of a single host need neither.
std::vector<std::shared_ptr<gloo::transport::Device>> gloo_devices(const Rank& rank) {
  const char* const listed = std::getenv("GLOO_SOCKET_IFNAME");  // NOLINT(concurrency-mt-unsafe): nothing sets one
  if (listed == nullptr || *listed == '\0') {
    const bool single_host = rank.local_world_size == rank.world_size;
    return {single_host ? c10d::ProcessGroupGloo::createDeviceForHostname("127.0.0.1")
                        : c10d::ProcessGroupGloo::createDefaultDevice()};
  }
  std::vector<std::shared_ptr<gloo::transport::Device>> devices;
  std::istringstream names(listed);
  for (std::string name; std::getline(names, name, ',');) {
    devices.push_back(c10d::ProcessGroupGloo::createDeviceForInterface(name));
  }
  return devices;
}

c10d::AllreduceOptions reduce_options(bool largest) {
  c10d::AllreduceOptions options;
  options.reduceOp = largest ? c10d::ReduceOp::MAX : c10d::ReduceOp::SUM;
  options.asyncOp = false;  // NCCL uses the current stream
  return options;
}

ExitCode exit_code_of(const std::exception& error) {
  const auto* const own = dynamic_cast<const Error*>(&error);
  return own == nullptr ? ExitCode::run_failed : own->code();
}

}  // namespace

struct ProcessGroup::Connections {
  const c10::intrusive_ptr<c10d::Backend>& backend_of(at::Device device) const { return device.is_cpu() ? gloo : nccl; }

  c10::intrusive_ptr<c10d::Store> whole_store;
  c10::intrusive_ptr<c10d::Store> store;  // the keys of this attempt
  c10::intrusive_ptr<c10d::Backend> gloo;
  c10::intrusive_ptr<c10d::Backend> nccl;               // null: this rank trains on the CPU
  std::vector<c10::intrusive_ptr<c10d::Work>> begun{};  // started by begin_all_reduce() on the CPU
  std::unique_ptr<FaultWatch> watch{};
};

ProcessGroup::ProcessGroup(const Rank& rank, at::Device device, double timeout_seconds) : rank_(rank) {
  if (alone()) return;
  connections_ = std::make_unique<Connections>();
  const auto timeout = milliseconds(static_cast<std::int64_t>(timeout_seconds * 1000));
  with_errors_of_ranks(rank_, "the store", [&] {
    connections_->whole_store = connect_store(rank_);
    connections_->store = of_this_attempt(rank_, connections_->whole_store);
    connections_->watch =
        std::make_unique<FaultWatch>(rank_, of_this_attempt(rank_, connect_store_again(rank_)), timeout_seconds);
  });
  with_errors_of_ranks(rank_, "Gloo", [&] {
    auto options = c10d::ProcessGroupGloo::Options::create(timeout);
    options->devices = gloo_devices(rank_);
    connections_->gloo = c10::make_intrusive<c10d::ProcessGroupGloo>(
        c10::make_intrusive<c10d::PrefixStore>("gloo", connections_->store), rank_.rank, rank_.world_size, options);
  });
  if (!device.is_cuda()) return;
  with_errors_of_ranks(rank_, "NCCL", [&] {
    connections_->nccl = make_nccl_backend(c10::make_intrusive<c10d::PrefixStore>("nccl", connections_->store),
                                           rank_.rank, rank_.world_size, device, timeout);
  });
}

void tell_other_ranks(const Rank& rank, const std::exception& error, double timeout_seconds) {
  if (rank.alone()) return;
  const auto patience = [](milliseconds in_all) { return StorePatience{.in_all = in_all, .until_said = in_all}; };
  const auto timeout = milliseconds(static_cast<std::int64_t>(timeout_seconds * 1000));
  const std::string message(first_line(message_of(error)));
  try {
    c10::intrusive_ptr<c10d::Store> store;
    try {
      store = connect_store(rank, patience(std::min(timeout, milliseconds(1000))));
    } catch (const RunError&) {  // rank 0 may still build its datasets
      log_warning("[{}] rank {} of {} on {}: {}; waiting up to {:.0f} s for rank 0 to learn of it", where, rank.rank,
                  rank.world_size, host_name(), message, timeout_seconds);
      store = connect_store(rank, patience(timeout));
    }
    report_early_end(rank, *of_this_attempt(rank, store), message, exit_code_of(error), timeout_seconds);
  } catch (const std::exception&) {  // nobody can be told
  }
}

ProcessGroup::ProcessGroup() = default;

ProcessGroup::~ProcessGroup() {
  if (!connections_ || !connections_->nccl) return;
  try {
    connections_->nccl->abort();
  } catch (const std::exception& error) {  // must not hide the error for which the group ends
    log_warning("[distributed] the connections between the GPUs cannot be aborted: {}", first_line(error.what()));
  }
}

c10::intrusive_ptr<c10d::Backend> ProcessGroup::backend_of(at::Device device) const {
  return connections_ ? connections_->backend_of(device) : nullptr;
}

void ProcessGroup::reduce(const at::Tensor& tensor, bool largest) {
  if (alone()) return;
  with_errors_of_ranks(rank_, "a sum", [&] {
    std::vector<at::Tensor> tensors = {tensor};
    wait_for(connections_->backend_of(tensor.device())->allreduce(tensors, reduce_options(largest)));
  });
}

void ProcessGroup::all_reduce(const at::Tensor& tensor) { reduce(tensor, /*largest=*/false); }

void ProcessGroup::all_reduce_max(const at::Tensor& tensor) { reduce(tensor, /*largest=*/true); }

bool ProcessGroup::all_agree(bool yes) {
  const at::Tensor objections = at::full({1}, yes ? 0 : 1, at::kInt);
  all_reduce_max(objections);
  return objections[0].item<int>() == 0;
}

void ProcessGroup::broadcast(const at::Tensor& tensor) {
  if (alone()) return;
  with_errors_of_ranks(rank_, "what rank 0 has", [&] {
    std::vector<at::Tensor> tensors = {tensor};
    c10d::BroadcastOptions options;
    options.asyncOp = false;
    wait_for(connections_->backend_of(tensor.device())->broadcast(tensors, options));
  });
}

std::vector<at::Tensor> ProcessGroup::all_gather(const at::Tensor& tensor) {
  if (alone()) return {tensor};
  return with_errors_of_ranks(rank_, "what each has", [&] {
    std::vector<at::Tensor> tensors = {tensor};
    std::vector<std::vector<at::Tensor>> gathered(1);
    for (int i = 0; i < rank_.world_size; ++i) gathered[0].push_back(at::empty(tensor.sizes(), tensor.options()));
    c10d::AllgatherOptions options;
    options.asyncOp = false;
    wait_for(connections_->backend_of(tensor.device())->allgather(gathered, tensors, options));
    return gathered[0];
  });
}

void ProcessGroup::begin_all_reduce(const at::Tensor& tensor) {
  if (alone()) return;
  with_errors_of_ranks(rank_, "a sum", [&] {
    std::vector<at::Tensor> tensors = {tensor};
    auto work = connections_->backend_of(tensor.device())->allreduce(tensors, reduce_options(/*largest=*/false));
    if (tensor.is_cpu()) connections_->begun.push_back(std::move(work));
  });
}

void ProcessGroup::finish() {
  if (alone()) return;
  with_errors_of_ranks(rank_, "a sum", [&] {
    for (const auto& work : connections_->begun) work->wait();
  });
  connections_->begun.clear();
}

ProcessGroup::Pending ProcessGroup::all_reduce_max_later(const at::Tensor& tensor) {
  Pending pending;
  if (alone()) return pending;
  with_errors_of_ranks(rank_, "a request", [&] {
    std::vector<at::Tensor> tensors = {tensor};
    pending.wait_ = [work = connections_->gloo->allreduce(tensors, reduce_options(/*largest=*/true)), rank = rank_] {
      with_errors_of_ranks(rank, "a request", [&] { work->wait(); });
    };
  });
  return pending;
}

void ProcessGroup::Pending::wait() {
  if (wait_) wait_();
  wait_ = nullptr;
}

std::string ProcessGroup::broadcast(const std::string& text) {
  if (alone()) return text;
  const std::string key = "text/" + std::to_string(++texts_);
  return with_errors_of_ranks(rank_, "what rank 0 decides", [&] {
    if (rank_.is_first()) connections_->store->set(key, to_store(text));
    return from_store(connections_->store->get(key));
  });
}

std::vector<std::string> ProcessGroup::all_gather(const std::string& text) {
  if (alone()) return {text};
  const std::string key = "text/" + std::to_string(++texts_) + "/";
  return with_errors_of_ranks(rank_, "what each has", [&] {
    connections_->store->set(key + std::to_string(rank_.rank), to_store(text));
    std::vector<std::string> texts;
    for (int i = 0; i < rank_.world_size; ++i)
      texts.push_back(from_store(connections_->store->get(key + std::to_string(i))));
    return texts;
  });
}

std::vector<std::string> ProcessGroup::all_gather_on_host(const std::string& text) {
  const std::string host = fmt::format("{} {} ", host_name(), rank_.node);  // Slurm and Open MPI do not number hosts
  std::vector<std::string> result;
  for (const std::string& one : all_gather(host + text)) {
    if (one.starts_with(host)) result.push_back(one.substr(host.size()));
  }
  return result;
}

void ProcessGroup::save_text(const std::string& text) {
  if (alone()) return;
  with_errors_of_ranks(rank_, "a text to keep", [&] { connections_->whole_store->set(memory_key, to_store(text)); });
}

std::string ProcessGroup::saved_text() const {
  if (alone()) return "";
  return with_errors_of_ranks(rank_, "the text that was kept", [&]() -> std::string {
    if (!connections_->whole_store->check({memory_key})) return "";
    return from_store(connections_->whole_store->get(memory_key));
  });
}

void ProcessGroup::barrier() { all_gather(std::string(1, '1')); }

void ProcessGroup::report_progress() {
  if (connections_) connections_->watch->report_progress();
}

void ProcessGroup::rethrow_first_cause(const std::exception& error) {
  if (!connections_) throw;
  const bool lost = dynamic_cast<const RanksLost*>(&error) != nullptr;
  const std::string message = message_of(error);  // this rank prints the whole of it
  const ExitCode code = exit_code_of(error);
  const FaultWatch::Cause cause = connections_->watch->report_end(std::string(first_line(message)), code, lost);
  if (cause.own || code == ExitCode::usage) throw;  // all ranks detect the same usage errors
  throw SecondaryError(cause.code, where,
                       fmt::format("{}; rank {} ends with it", printable(cause.text, 4096), rank_.rank),
                       cause.must_print);
}

void ProcessGroup::shut_down() {
  if (alone()) return;
  barrier();
  connections_->watch->stop();
  if (connections_->nccl) std::exchange(connections_->nccl, nullptr)->shutdown();
  barrier();
  leave_store();
  connections_.reset();
}

// A rank whose process has the store ends last: the others may still be reading what ends their barrier.
void ProcessGroup::leave_store() {
  constexpr std::chrono::seconds patience(5);  // everything is done: a rank that was killed meanwhile costs no more
  const auto key = [](int rank) { return "left/" + std::to_string(rank); };
  if (!rank_.hosts_store) {
    with_errors_of_ranks(rank_, "the end", [&] { connections_->store->set(key(rank_.rank), to_store("1")); });
    return;
  }
  std::vector<std::string> others;
  for (int rank = 0; rank < rank_.world_size; ++rank) {
    if (rank != rank_.rank) others.push_back(key(rank));
  }
  try {
    connections_->store->wait(others, patience);
  } catch (const std::exception& error) {  // from c10d
    log_warning("[distributed] not all ranks have left the run: {}", first_line(message_of(error)));
  }
}

}  // namespace trainyard
