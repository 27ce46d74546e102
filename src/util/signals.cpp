#include "util/signals.h"

#include <signal.h>
#include <unistd.h>

#include "util/system.h"

namespace trainyard {

void prepare_signals() {
  sigset_t save;
  sigemptyset(&save);
  sigaddset(&save, SIGUSR1);
  check_call(sigprocmask(SIG_BLOCK, &save, nullptr), "trainyard", "sigprocmask", "SIGUSR1");
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
