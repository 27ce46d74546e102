#include "distributed/fault_watch.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "distributed/outcome.h"
#include "distributed/store_text.h"
#include "util/clock.h"
#include "util/count_of.h"
#include "util/error.h"
#include "util/log.h"
#include "util/output.h"
#include "util/printable.h"
#include "util/secondary_error.h"

namespace trainyard {
namespace {

constexpr const char* where = "distributed";
constexpr double most_seconds_between_looks = 1;
constexpr double max_seconds_to_find = 30;
constexpr double max_seconds_to_come = 1800;  // a rank may take minutes to build its datasets
constexpr useconds_t microseconds_between_looks = 50'000;
constexpr double seconds_to_explain = 3;  // time for a failing rank to write its cause before it ends

// In milliseconds. A rank shows that it lives once per look, so several looks fit into the time that it has for that.
int look_period(double timeout_seconds) {
  return static_cast<int>(1000 * std::min(timeout_seconds / 4, most_seconds_between_looks));
}

double now_seconds() { return static_cast<double>(monotonic_ns()) * 1e-9; }

// Parses e.g. "12 345".
std::pair<std::int64_t, std::int64_t> numbers_of(const std::string& text) {
  std::pair<std::int64_t, std::int64_t> numbers{0, 0};
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, numbers.first);
  if (error == std::errc() && stop != end) std::from_chars(stop + 1, end, numbers.second);
  return numbers;
}

std::string beat_key(int rank) { return "beat/" + std::to_string(rank); }
std::string knows_key(int rank) { return "knows/" + std::to_string(rank); }
std::string process_key(int rank) { return "process/" + std::to_string(rank); }

// Returns a pidfd; none if the kernel has no such call (before Linux 5.3), or the process is not visible from here.
UniqueFd open_process(std::int64_t pid) {
  return UniqueFd(static_cast<int>(syscall(SYS_pidfd_open, static_cast<pid_t>(pid), 0)));
}

bool has_ended(const UniqueFd& process) {
  pollfd event{process.get(), POLLIN, 0};
  return process.get() >= 0 && retry_on_eintr([&] { return poll(&event, 1, 0); }) > 0;
}

void kill_process(const UniqueFd& process) {
  if (process.get() >= 0) syscall(SYS_pidfd_send_signal, process.get(), SIGKILL, nullptr, 0);
}

std::string as_kept(const Rank& rank, ExitCode code, const std::string& cause) {
  return fmt::format("{} {} {}", rank.rank, static_cast<int>(code), cause);
}

// For a rank that ends before all have connected. The one whose process has the store ends last.
void wait_until_known(const Rank& rank, c10d::Store& store, double timeout_seconds, const std::string& cause) {
  store.set(knows_key(rank.rank), to_store("1"));
  if (!rank.hosts_store) return;
  const double start = now_seconds();
  bool told = false;
  for (int other = 0; other < rank.world_size; ++other) {
    while (!store.check({knows_key(other)})) {
      const double waited = now_seconds() - start;
      if (waited >= timeout_seconds) return;
      if (waited >= seconds_to_explain && !std::exchange(told, true)) {
        log_warning("[distributed] {}; waiting up to {:.0f} s for rank {} of {} to learn of it", printable(cause, 4096),
                    timeout_seconds, other, rank.world_size);
      }
      usleep(microseconds_between_looks);
    }
  }
}

}  // namespace

void report_early_end(const Rank& rank, c10d::Store& store, const std::string& message, ExitCode code,
                      double timeout_seconds) {
  const std::string cause = fmt::format("rank {} of {} on {}: {}", rank.rank, rank.world_size, host_name(), message);
  store.compareSet("cause", {}, to_store(as_kept(rank, code, cause)));
  wait_until_known(rank, store, timeout_seconds, cause);
}

FaultWatch::FaultWatch(const Rank& rank, c10::intrusive_ptr<c10d::Store> store, double timeout_seconds)
    : rank_(rank),
      store_(std::move(store)),
      timeout_(timeout_seconds),
      between_looks_(look_period(timeout_seconds)),
      host_(host_name()) {
  wake_.reset(check_call(eventfd(0, EFD_CLOEXEC), where, "eventfd", "the watch over ranks"));
  store_->set(beat_key(rank_.rank), to_store("0 0"));
  store_->set(process_key(rank_.rank), to_store(std::to_string(getpid()) + " " + host_));
  for (int other = 0; other < rank_.world_size; ++other) {
    if (other == rank_.rank) continue;
    const std::string process = process_of(other);
    Peer peer{.rank = other,
              .pid = numbers_of(process).first,
              .host = process.substr(std::min(process.find(' ') + 1, process.size()))};
    if (peer.host == host_) peer.process = open_process(peer.pid);
    peer.changed = peer.moved = now_seconds();
    peers_.push_back(std::move(peer));
  }
  thread_ = std::thread([this] { run(); });
  guard_ = std::thread([this] { guard(); });
}

// Waits for the rank, which may still build its datasets, or may have ended before it could connect.
std::string FaultWatch::process_of(int rank) {
  const bool tells = rank_.rank == (rank == 0 ? 1 : 0);
  const double start = now_seconds();
  for (bool told = false; !store_->check({process_key(rank)}); usleep(microseconds_between_looks)) {
    if (const std::optional<Cause> cause = known_cause()) end_early(*cause);
    const double waited = now_seconds() - start;
    if (waited >= max_seconds_to_come) {
      throw RunError(where, "rank {} of {} has not connected after {:.0f} s; see its output", rank, rank_.world_size,
                     waited);
    }
    if (waited < timeout_ || !tells || std::exchange(told, true)) continue;
    log_warning(
        "[distributed] waiting for rank {} of {}, which has not connected after {:.0f} s: it still builds its "
        "datasets, has failed or was not started; see its output",
        rank, rank_.world_size, timeout_);
  }
  return from_store(store_->get(process_key(rank)));
}

// Before the watch has begun.
void FaultWatch::end_early(const Cause& cause) {
  wait_until_known(rank_, *store_, timeout_, cause.text);
  throw SecondaryError(cause.code, where,
                       fmt::format("{}; rank {} ends with it", printable(cause.text, 4096), rank_.rank),
                       /*must_print=*/rank_.local_rank == 0 || rank_.rank == 1);
}

FaultWatch::~FaultWatch() { stop(); }

void FaultWatch::stop() {
  stops_ = true;
  eventfd_write(wake_.get(), 1);
  for (std::thread* const thread : {&thread_, &guard_}) {
    if (thread->joinable()) thread->join();
  }
}

void FaultWatch::run() {
  while (!stops_) {
    pollfd woken{wake_.get(), POLLIN, 0};
    std::vector<pollfd> events = {woken};
    for (const Peer& peer : peers_) {
      if (peer.process.get() >= 0) events.push_back({peer.process.get(), POLLIN, 0});
    }
    poll(events.data(), events.size(), between_looks_);
    if (stops_ || settled_) return;
    try {
      check_peers(now_seconds());
      ++answers_;
    } catch (const std::exception&) {  // from c10d: the store does not answer
      if (!settled_ && !stops_)
        end_process({.text = "the store at " + rank_.address + " does not answer: its process has ended",
                     .must_print = is_first_of_host()},
                    /*primary=*/false);
    }
  }
}

// A separate thread, because a call of the store may block until TCP gives up on a lost network, after about 15
// minutes.
void FaultWatch::guard() {
  double silence = 0;
  for (std::int64_t answers = 0; !stops_; silence += 1e-3 * between_looks_) {
    pollfd woken{wake_.get(), POLLIN, 0};
    if (retry_on_eintr([&] { return poll(&woken, 1, between_looks_); }) > 0) return;
    if (answers_ != std::exchange(answers, answers_)) silence = 0;
    if (silence < timeout_ + seconds_to_explain) continue;
    const auto first = std::find_if(peers_.begin(), peers_.end(), [](const Peer& peer) { return peer.rank == 0; });
    const std::string who = first == peers_.end() ? "torchrun" : describe(*first);
    end_process({.text = fmt::format("the store at {} has not answered for {:.0f} s: the network to {} is lost",
                                     rank_.address, silence, who),
                 .own = true,
                 .must_print = is_first_of_host()},
                /*primary=*/true);
  }
}

void FaultWatch::check_peers(double now) {
  if (const std::optional<std::string> killed = killed_peer()) {
    const double end = now_seconds() + seconds_to_explain;
    while (!known_cause() && now_seconds() < end && !stops_) usleep(microseconds_between_looks);
    if (stops_) return;
    end_with(keep_cause(*killed, ExitCode::run_failed), /*primary=*/false);
  }
  if (const std::optional<Cause> cause = known_cause()) end_with(*cause, /*primary=*/false);
  if (const std::optional<Silent> silent = silent_peer(now)) {
    const Cause cause = keep_cause(describe(*silent->peer) + silent->what, ExitCode::run_failed);
    kill_process(silent->peer->process);  // otherwise torchrun would wait for it
    end_with(cause, /*primary=*/cause.own);
  }
}

std::optional<FaultWatch::Silent> FaultWatch::silent_peer(double now) {
  std::optional<Silent> found;
  const std::lock_guard lock(asking_);
  store_->set(beat_key(rank_.rank), to_store(fmt::format("{} {}", ++beats_, moves_.load())));
  std::int64_t furthest = moves_;
  double last_move = 0;
  const Peer* slowest = nullptr;
  for (Peer& peer : peers_) {
    if (!rank_.is_first() && peer.rank != 0) continue;  // rank 0 watches all ranks, the others watch rank 0
    const auto [beats, moves] = numbers_of(from_store(store_->get(beat_key(peer.rank))));
    if (beats != std::exchange(peer.beats, beats)) peer.changed = now;
    if (moves != std::exchange(peer.moves, moves)) peer.moved = now;
    if (now - peer.changed > timeout_) {
      found = {&peer, fmt::format(" has not answered for {:.0f} s: its host or the network is lost, or it is stopped",
                                  timeout_)};
    }
    furthest = std::max(furthest, peer.moves);
    last_move = std::max(last_move, peer.moved);
    if (slowest == nullptr || peer.moves < slowest->moves) slowest = &peer;
  }
  if (!found && rank_.is_first() && slowest != nullptr && slowest->moves < furthest && now - last_move > timeout_) {
    found = {slowest, fmt::format(" hangs: the others are {} further, and it has not moved for {:.0f} s",
                                  count_of(furthest - slowest->moves, "step"), timeout_)};
  }
  return found;
}

std::optional<std::string> FaultWatch::killed_peer() const {
  const auto ended =
      std::find_if(peers_.begin(), peers_.end(), [](const Peer& peer) { return has_ended(peer.process); });
  if (ended == peers_.end()) return std::nullopt;
  return describe(*ended) + " was killed: it ended without an error of its own";
}

std::optional<FaultWatch::Cause> FaultWatch::known_cause() {
  const std::lock_guard lock(asking_);
  if (!store_->check({"cause"})) return std::nullopt;
  return cause_in(from_store(store_->get("cause")));
}

// Keeps the cause unless the store has one already, and returns the one that is kept.
FaultWatch::Cause FaultWatch::keep_cause(const std::string& text, ExitCode code) {
  const std::lock_guard lock(asking_);
  return cause_in(from_store(store_->compareSet("cause", {}, to_store(as_kept(rank_, code, text)))));
}

FaultWatch::Cause FaultWatch::cause_in(const std::string& kept) const {
  const auto [finder, code] = numbers_of(kept);
  const std::size_t text = kept.find(' ', kept.find(' ') + 1) + 1;
  const bool own = finder == rank_.rank;
  const auto peer =
      std::find_if(peers_.begin(), peers_.end(), [finder](const Peer& one) { return one.rank == finder; });
  const bool finder_is_here = peer != peers_.end() && peer->host == host_;
  return {.text = kept.substr(std::min(text, kept.size())),
          .code = static_cast<ExitCode>(code),
          .own = own,
          .must_print = own || (!finder_is_here && is_first_of_host())};
}

// Whether this rank is the first of the living ranks on this host.
bool FaultWatch::is_first_of_host() const {
  return std::none_of(peers_.begin(), peers_.end(), [&](const Peer& peer) {
    return peer.rank < rank_.rank && peer.process.get() >= 0 && !has_ended(peer.process);
  });
}

std::string FaultWatch::describe(const Peer& peer) const {
  return fmt::format("rank {} of {} on {} (pid {})", peer.rank, rank_.world_size, printable(peer.host), peer.pid);
}

FaultWatch::Cause FaultWatch::report_end(const std::string& message, ExitCode code, bool lost) {
  if (lost) wait_for_cause();
  settled_ = true;
  Cause cause = first_cause(message, code, lost);
  leave_store();
  stops_ = true;
  eventfd_write(wake_.get(), 1);
  return cause;
}

// Meanwhile the watching thread still searches for the rank that does not answer, and ends this process when it has
// found it: a collective may time out slightly before that rank counts as silent.
void FaultWatch::wait_for_cause() {
  const double end = now_seconds() + std::min(timeout_, max_seconds_to_find) + seconds_to_explain;
  try {
    while (now_seconds() < end && !known_cause()) usleep(microseconds_between_looks);
  } catch (const std::exception&) {  // from c10d: the store does not answer either
  }
}

// This rank knows the cause. The one whose process has the store ends last, as the others read the cause there.
void FaultWatch::leave_store() {
  const auto knows = [this](const Peer& peer) {
    const std::lock_guard lock(asking_);
    return has_ended(peer.process) || store_->check({knows_key(peer.rank)});
  };
  const double end = now_seconds() + seconds_to_explain;
  try {
    if (!rank_.hosts_store) {
      const std::lock_guard lock(asking_);
      store_->set(knows_key(rank_.rank), to_store("1"));
      return;
    }
    while (now_seconds() < end && !std::ranges::all_of(peers_, knows)) usleep(microseconds_between_looks);
  } catch (const std::exception&) {  // from c10d: the store does not answer
  }
}

FaultWatch::Cause FaultWatch::first_cause(const std::string& message, ExitCode code, bool lost) {
  const std::string own = fmt::format("rank {} of {} on {}: {}", rank_.rank, rank_.world_size, host_, message);
  try {
    const std::optional<std::string> killed = lost ? killed_peer() : std::nullopt;
    Cause cause = keep_cause(killed.value_or(own), killed ? ExitCode::run_failed : code);
    if (killed) cause.own = false;
    return cause;
  } catch (const std::exception&) {  // from c10d: the store has ended with the rank that hosts it
    return {.text = own, .code = code, .own = true, .must_print = true};
  }
}

void FaultWatch::end_with(const Cause& cause, bool primary) {
  leave_store();
  end_process(cause, primary);
}

// primary: no other rank has reported the cause.
void FaultWatch::end_process(const Cause& cause, bool primary) {
  const std::string line = fmt::format("[distributed] {}; the other ranks end with it", printable(cause.text, 4096));
  const bool told = report_failure(cause.code, line, !primary);
  if (cause.must_print && !told) print_error(line);
  _exit(static_cast<int>(cause.code));
}

}  // namespace trainyard
