#include "training/stop_signal.h"

#include <array>
#include <atomic>

#include <signal.h>

#include "util/system.h"

namespace trainyard {
namespace {

constexpr std::array stop_signals = {SIGINT, SIGTERM, SIGHUP};
constexpr std::array handled_signals = {SIGINT, SIGTERM, SIGHUP, SIGUSR1};

std::atomic<int> signal_received = 0;
std::atomic<bool> save_requested = false;
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<bool>::is_always_lock_free,
              "the handler may use nothing else");
std::array<struct sigaction, handled_signals.size()> previous_actions;

void note(int signal) {
  if (signal == SIGUSR1) {
    save_requested = true;
    return;
  }
  signal_received = signal;
  for (const int other : stop_signals) ::signal(other, SIG_DFL);  // the next one, whichever, does not wait for us
}

}  // namespace

StopSignal::StopSignal() {
  signal_received = 0;
  save_requested = false;
  struct sigaction action{};
  action.sa_handler = note;
  action.sa_flags = SA_RESTART;
  for (std::size_t i = 0; i < handled_signals.size(); ++i) {
    check_call(sigaction(handled_signals[i], &action, &previous_actions[i]), "training", "sigaction", "stop signals");
  }
}

StopSignal::~StopSignal() {
  signal_received = 0;
  for (std::size_t i = 0; i < handled_signals.size(); ++i) sigaction(handled_signals[i], &previous_actions[i], nullptr);
}

int StopSignal::received() { return signal_received; }

bool StopSignal::take_save_request() { return save_requested.exchange(false); }

}  // namespace trainyard
