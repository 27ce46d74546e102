#include "util/signals.h"

#include <signal.h>
#include <unistd.h>

#include "util/system.h"

namespace trainyard {

void hold_back_save_requests() noexcept {
  sigset_t save;
  sigemptyset(&save);
  sigaddset(&save, SIGUSR1);
  sigprocmask(SIG_BLOCK, &save, nullptr);  // cannot fail: the arguments are valid
}

void prepare_signals() {
  if (getpid() != 1) return;
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    if (!is_ignored(number)) ::signal(number, [](int ending) { _exit(128 + ending); });
  }
}

bool is_ignored(int signal) {
  struct sigaction action{};
  check_call(sigaction(signal, nullptr, &action), "trainyard", "sigaction", "a signal");
  return action.sa_handler == SIG_IGN;
}

}  // namespace trainyard
