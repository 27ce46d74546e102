/// Reports the outcomes of ranks to the launcher that started them on this host, and ends ranks with their launcher.
///
/// The channel is a memory file (memfd) of the launcher. Ranks open it by its path in /proc and append one line of JSON
/// per report; torchrun.py appends how torchrun ended.
#pragma once

#include <string>
#include <vector>

#include "util/error.h"
#include "util/system.h"

namespace trainyard {

/// The environment variable by which ranks find their launcher: "<process id of its torchrun> <path of the channel>".
inline constexpr const char* launcher_variable = "TRAINYARD_LAUNCHER";

/// A report of a rank.
struct RankReport {
  enum class Kind : int {
    takes_signals,    ///< from now on it treats signals to stop and to save as requests
    ends_by_signals,  ///< from now on a signal to stop ends it immediately
    stopped,          ///< it ends because of a request to stop, after saving
    failed,           ///< it ends with an error
  };
  Kind kind = Kind::failed;
  int rank = 0;
  int pid = 0;
  int restarts = 0;        ///< how often torchrun has restarted the ranks
  int code = 0;            ///< the exit code without a launcher: 128 + n if stopped by signal n, an ExitCode if failed
  bool secondary = false;  ///< it failed only because another rank did
  std::string message{};   ///< of the error: `[where] what happened, the value, what to do`
};

/// A rank that did not exit with 0, as reported by torchrun.
struct RankFailure {
  int rank = 0;
  int exit_code = 0;  ///< -n: killed by signal n
};

/// All reports so far; lists are in chronological order.
struct Outcomes {
  std::vector<RankReport> reports;
  std::vector<RankFailure> failures;  ///< of the last start; empty until torchrun has ended
  std::string torchrun_error;         ///< why torchrun itself failed
  std::string torchrun_missing;       ///< why torchrun cannot be run
};

/// The reports since torchrun last started the ranks.
std::vector<RankReport> reports_of_last_start(const Outcomes& outcomes);

/// The launcher's end of the channel. Used from one thread.
class OutcomeChannel {
 public:
  /// Throws RunError if the process has no descriptors left.
  OutcomeChannel();

  /// The path by which other processes of this user can open the channel while this process lives.
  std::string path() const;

  /// Reports that torchrun cannot be run, as torchrun.py does. For a child that could not start Python.
  void tell_missing(const std::string& why) const;

  /// Ignores lines that are not reports of a rank or of torchrun.py. Throws RunError.
  Outcomes read() const;

 private:
  UniqueFd file_;
};

/// Whether this process is a rank that a launcher of this program has started, and not a user's own torchrun etc.
bool has_launcher();

/// Makes the kernel kill this process when its torchrun ends, or kills it now if torchrun has already ended. Also works
/// under a torchrun that a user has started; does nothing in other processes. Call it before anything is forked.
void end_with_launcher();

/// Reports to the launcher that this rank ends with an error. `secondary`: only because another rank failed, so it is
/// not the cause. Returns false if there is no launcher to print it. Throws nothing.
bool report_failure(ExitCode code, const std::string& message, bool secondary = false) noexcept;

/// Reports to the launcher that this rank has stopped after saving, and returns the exit code: 0 under a launcher,
/// whose torchrun would treat anything else as a failure, otherwise 128 + `signal`.
int report_stop(int signal);

/// During its lifetime, the launcher passes on signals to stop and to save. Create it after the handlers (StopSignal)
/// are installed, and destroy it before they are removed.
class TakesSignals {
 public:
  TakesSignals();
  ~TakesSignals();
  TakesSignals(const TakesSignals&) = delete;
  TakesSignals& operator=(const TakesSignals&) = delete;
};

}  // namespace trainyard
