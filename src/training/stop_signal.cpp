#include "training/stop_signal.h"

#include <array>

#include <signal.h>

#include "util/system.h"

namespace trainyard {
namespace {

constexpr std::array stop_signals = {SIGINT, SIGTERM, SIGHUP};
constexpr std::array handled_signals = {SIGINT, SIGTERM, SIGHUP, SIGUSR1};

StopRequests requests;  // static, because a handler may still run on another thread while a StopSignal ends
std::array<struct sigaction, handled_signals.size()> previous_actions;

void handle(int signal) {
  if (signal == SIGUSR1) {
    requests.save = true;
    return;
  }
  requests.signal = signal;
  for (const int other : stop_signals) ::signal(other, SIG_DFL);  // any second signal ends the process
}

void clear_requests() {
  requests.signal = 0;
  requests.save = false;
}

}  // namespace

StopSignal::StopSignal() {
  clear_requests();
  struct sigaction action{};
  action.sa_handler = handle;
  action.sa_flags = SA_RESTART;
  for (std::size_t i = 0; i < handled_signals.size(); ++i) {
    check_call(sigaction(handled_signals[i], &action, &previous_actions[i]), "training", "sigaction", "stop signals");
  }
}

StopSignal::~StopSignal() {
  for (std::size_t i = 0; i < handled_signals.size(); ++i) sigaction(handled_signals[i], &previous_actions[i], nullptr);
  clear_requests();
}

StopToken StopSignal::token() const { return StopToken(requests); }

}  // namespace trainyard
