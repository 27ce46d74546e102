/// What the ranks of a run tell the launcher that started them on this host, and how they end with it.
///
/// The channel is a file in the launcher's memory, without a name on disk. Ranks open it by its path in /proc and
/// append a line of JSON each time; torchrun.py appends how torchrun ended.
#pragma once

#include <string>
#include <vector>

#include "util/error.h"
#include "util/system.h"

namespace trainyard {

/// The environment variable that leads ranks to their launcher: the process id of its torchrun, a blank, the channel's
/// path.
inline constexpr const char* launcher_variable = "TRAINYARD_LAUNCHER";

/// What a rank has told.
struct RankReport {
  enum class Kind : int {
    takes_signals,    ///< from here on signals to stop and to save are requests
    ends_by_signals,  ///< from here on a signal to stop ends it at once
    stopped,          ///< it ended by a request to stop, after saving
    failed,           ///< it ends by an error
  };
  Kind kind = Kind::failed;
  int rank = 0;
  int pid = 0;
  int restarts = 0;        ///< how often torchrun had started the ranks again
  int code = 0;            ///< that it would exit with: 128 + n if stopped by signal n, an ExitCode if failed
  bool secondary = false;  ///< it failed only because another rank had
  std::string message{};   ///< of the error: `[where] what happened, the value, what to do`
};

/// How a process of torchrun ended that did not exit with 0.
struct RankFailure {
  int rank = 0;
  int exit_code = 0;  ///< -n: killed by signal n
};

/// All that was told so far, each list in the order of time.
struct Outcomes {
  std::vector<RankReport> reports;
  std::vector<RankFailure> failures;  ///< of the last start; empty until torchrun has ended
  std::string torchrun_error;         ///< why torchrun itself failed
  std::string torchrun_missing;       ///< why there is no torchrun
};

/// The reports since torchrun has last started the ranks.
std::vector<RankReport> reports_of_last_start(const Outcomes& outcomes);

/// The launcher's end. For one thread.
class OutcomeChannel {
 public:
  /// Throws RunError where there are no descriptors left.
  OutcomeChannel();

  /// For other processes of this user, while this process lives.
  std::string path() const;

  /// Says that there is no torchrun, as torchrun.py does, from a child that could not start it.
  void tell_missing(const std::string& why) const;

  /// Leaves out what is no line of a rank or of torchrun.py. Throws RunError.
  Outcomes read() const;

 private:
  UniqueFd file_;
};

/// Makes this process end with its launcher: killed with torchrun, or at once where torchrun has ended already. Under a
/// torchrun that a user has started, too; does nothing in other processes. Call it before anything is forked.
void end_with_launcher();

/// Tells the launcher that this rank ends by an error. `secondary`: only because another rank failed, so it is not the
/// cause. False if there is no launcher to print it. Throws nothing.
bool report_failure(ExitCode code, const std::string& message, bool secondary = false) noexcept;

/// Tells the launcher that this rank has stopped after saving, and returns what to exit with: 0 under a launcher, whose
/// torchrun would take anything else for a failure, else 128 + `signal`.
int report_stop(int signal);

/// While one lives, the launcher passes on signals to stop and to save. Made after the handlers (StopSignal) are
/// installed, destroyed before they are removed.
class TakesSignals {
 public:
  TakesSignals();
  ~TakesSignals();
  TakesSignals(const TakesSignals&) = delete;
  TakesSignals& operator=(const TakesSignals&) = delete;
};

}  // namespace trainyard
