#include "training/stop_signal.h"

#include <array>
#include <atomic>
#include <cstdint>

#include <signal.h>

#include "util/clock.h"
#include "util/signals.h"
#include "util/system.h"

namespace trainyard {
namespace {

constexpr std::array stop_signals = {SIGINT, SIGTERM, SIGHUP};

// Static, because a handler may still run on another thread while a StopSignal ends.
StopRequests requests;
std::atomic<std::int64_t> first_stop = 0;  // monotonic_ns()
std::array<struct sigaction, stop_signals.size()> previous_stops;
struct sigaction previous_save;
sigset_t previous_mask;

void restore_stops() {
  for (std::size_t i = 0; i < stop_signals.size(); ++i) sigaction(stop_signals[i], &previous_stops[i], nullptr);
}

void handle_stop(int signal) {
  const std::int64_t now = monotonic_ns();
  if (requests.signal == 0) {
    first_stop = now;
    requests.signal = signal;
  } else if (!is_same_stop(first_stop, now)) {
    restore_stops();
    raise(signal);  // ends the process when this function returns
  }
}

void handle_save(int /*signal*/) { requests.save = true; }

void install(int signal, void (*handler)(int), struct sigaction& previous) {
  struct sigaction action{};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  check_call(sigaction(signal, &action, &previous), "training", "sigaction", "stop signals");
}

void clear_requests() {
  requests.signal = 0;
  requests.save = false;
}

}  // namespace

StopSignal::StopSignal() {
  clear_requests();
  for (std::size_t i = 0; i < stop_signals.size(); ++i) {
    install(stop_signals[i], is_ignored(stop_signals[i]) ? SIG_IGN : handle_stop, previous_stops[i]);
  }
  install(SIGUSR1, handle_save, previous_save);
  sigset_t save;
  sigemptyset(&save);
  sigaddset(&save, SIGUSR1);
  pthread_sigmask(SIG_UNBLOCK, &save, &previous_mask);
}

StopSignal::~StopSignal() {
  pthread_sigmask(SIG_SETMASK, &previous_mask, nullptr);
  restore_stops();
  sigaction(SIGUSR1, &previous_save, nullptr);
  clear_requests();
}

StopToken StopSignal::token() const { return StopToken(requests); }

}  // namespace trainyard
