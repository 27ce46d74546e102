// A program that launches itself, as trainyard does, with ranks that perform the actions of a test.
//
// usage: launch_program RESTARTS ACTION...
// Starts one rank per action; act() lists the actions.
#include <cstdlib>
#include <span>
#include <string>
#include <thread>

#include <signal.h>
#include <unistd.h>

#include "distributed/launch.h"
#include "distributed/outcome.h"
#include "distributed/rank.h"
#include "training/stop_signal.h"
#include "util/output.h"

namespace trainyard {
namespace {

int fail(ExitCode code, bool secondary, const std::string& detail = "") {
  const std::string message = fmt::format("[test] {}{}", secondary ? "lost the others" : "it went wrong", detail);
  if (report_failure(code, message, secondary) && code != ExitCode::usage) print_error(message);
  return static_cast<int>(code);
}

int train_until_stopped() {
  const StopSignal stop_signal;
  const TakesSignals takes_signals;
  print("training, pid {}\n", getpid());
  flush_output();
  const StopToken token = stop_signal.token();
  while (!token.stop_requested()) {
    if (token.take_save_request()) print("saved\n");
    flush_output();
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  print("stopped by {}\n", token.signal());
  flush_output();
  return report_stop(token.signal());
}

// torchrun sends SIGTERM to the other ranks once it has noticed the end of one.
int fail_after_another_rank() {
  sigset_t end_of_another;
  sigemptyset(&end_of_another);
  sigaddset(&end_of_another, SIGTERM);
  sigprocmask(SIG_BLOCK, &end_of_another, nullptr);
  int number = 0;
  sigwait(&end_of_another, &number);
  return fail(ExitCode::run_failed, true);
}

[[noreturn]] void wait_for_ever() {
  print("waiting, pid {}\n", getpid());
  flush_output();
  for (;;) pause();
}

int act(const std::string& action, const Rank& rank) {
  if (action == "done") return 0;
  if (action == "argument $local_rank ${local_rank} $$") return 0;
  if (action == "done after a restart") return rank.restarts > 0 ? 0 : fail(ExitCode::run_failed, false);
  if (action == "fail") return fail(ExitCode::run_failed, false);
  if (action == "fail in two lines") return fail(ExitCode::run_failed, false, "\nin the second line");
  if (action == "usage") return fail(ExitCode::usage, false);
  if (action == "machine") return fail(ExitCode::machine_not_fit, false);
  if (action == "secondary") return fail_after_another_rank();
  if (action == "exit with 7") return 7;
  if (action == "crash") return raise(SIGSEGV);
  if (action == "train") return train_until_stopped();
  if (action == "train after a second") {
    print("waiting, pid {}\n", getpid());
    flush_output();
    std::this_thread::sleep_for(std::chrono::seconds(1));
    return train_until_stopped();
  }
  if (action == "wait") wait_for_ever();
  if (action == "end by signals") {
    const TakesSignals takes_signals;
    wait_for_ever();
  }
  if (action == "meet on loopback") return rank.address == "127.0.0.1" ? 0 : 1;
  if (action == "threads") return std::atoi(std::getenv("OMP_NUM_THREADS")) >= 1 ? 0 : 1;
  throw UsageError("test", "unknown action {}", action);
}

int run(std::span<char*> words) {
  end_with_launcher();
  const Rank rank = rank_of_process();
  if (rank.launcher.empty()) {
    return launch({.processes = static_cast<int>(words.size()) - 2, .max_restarts = std::atoi(words[1])});
  }
  return act(words[static_cast<std::size_t>(rank.rank) + 2], rank);
}

}  // namespace
}  // namespace trainyard

int main(int argc, char** argv) {
  using namespace trainyard;
  prepare_standard_streams();
  try {
    return run(std::span(argv, static_cast<std::size_t>(argc)));
  } catch (const Error& error) {
    print_error(error.what());
    return static_cast<int>(error.code());
  }
}
