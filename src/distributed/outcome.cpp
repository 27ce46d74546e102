#include "distributed/outcome.h"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <optional>
#include <span>
#include <sstream>

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "distributed/rank.h"
#include "util/json_text.h"

namespace trainyard {
namespace {

constexpr const char* where = "distributed";

struct Launcher {
  int torchrun = 0;  // its process id
  std::string path;  // of the channel
};

std::optional<Launcher> launcher_in_environment() {
  const char* const value = std::getenv(launcher_variable);  // NOLINT(concurrency-mt-unsafe): nothing here sets one
  Launcher launcher;
  if (value == nullptr || !(std::istringstream(value) >> launcher.torchrun >> launcher.path)) return std::nullopt;
  return launcher;
}

// Empty in processes started by a rank, which inherit its environment.
std::optional<Launcher> launcher_of_rank() {
  const std::optional<Launcher> launcher = launcher_in_environment();
  return launcher && launcher->torchrun == getppid() ? launcher : std::nullopt;
}

// Appends with a single write, which the kernel does not interleave with those of other ranks.
void append(const Launcher& launcher, const RankReport& report) {
  const UniqueFd file(check_call(open(launcher.path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC), where, "open",
                                 launcher.path, "the launcher has ended"));
  const std::string line = json_text(nlohmann::json{{"kind", static_cast<int>(report.kind)},
                                                    {"rank", report.rank},
                                                    {"pid", report.pid},
                                                    {"restarts", report.restarts},
                                                    {"code", report.code},
                                                    {"secondary", report.secondary},
                                                    {"message", report.message}}) +
                           "\n";
  write_all(file.get(), std::as_bytes(std::span(line)), where, launcher.path);
}

// Returns false if there is no launcher, or it has ended.
bool tell(RankReport report) noexcept {
  try {
    const std::optional<Launcher> launcher = launcher_of_rank();
    if (!launcher) return false;
    const Rank rank = rank_of_process();
    report.rank = rank.rank;
    report.restarts = rank.restarts;
    report.pid = getpid();
    append(*launcher, report);
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

RankReport report_of(const nlohmann::json& line) {
  return {.kind = static_cast<RankReport::Kind>(line.at("kind").get<int>()),
          .rank = line.at("rank"),
          .pid = line.at("pid"),
          .restarts = line.at("restarts"),
          .code = line.at("code"),
          .secondary = line.at("secondary"),
          .message = line.at("message")};
}

void take_line(const std::string& text, Outcomes& outcomes) {
  try {
    const nlohmann::json line = json_from(text);
    if (line.contains("kind")) outcomes.reports.push_back(report_of(line));
    if (line.contains("missing")) outcomes.torchrun_missing = line.at("missing");
    if (line.contains("error")) outcomes.torchrun_error = line.at("error");
    if (line.contains("failures")) {
      for (const nlohmann::json& failure : line.at("failures")) {
        outcomes.failures.push_back({.rank = failure.at(0), .exit_code = failure.at(1)});
      }
    }
  } catch (const nlohmann::json::exception&) {
    return;
  }
}

}  // namespace

OutcomeChannel::OutcomeChannel()
    : file_(check_call(memfd_create("outcomes of ranks", MFD_CLOEXEC), where, "memfd_create", "outcomes of ranks")) {}

std::string OutcomeChannel::path() const { return fmt::format("/proc/{}/fd/{}", getpid(), file_.get()); }

void OutcomeChannel::tell_missing(const std::string& why) const {
  const std::string line = json_text(nlohmann::json{{"missing", why}}) + "\n";
  write_all(file_.get(), std::as_bytes(std::span(line)), where, "outcomes of ranks");
}

Outcomes OutcomeChannel::read() const {
  std::string text(regular_file_size(file_.get(), where, "outcomes of ranks"), '\0');
  text.resize(read_at(file_.get(), std::as_writable_bytes(std::span(text)), 0, where, "outcomes of ranks"));
  Outcomes outcomes;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) take_line(line, outcomes);
  return outcomes;
}

std::vector<RankReport> reports_of_last_start(const Outcomes& outcomes) {
  int restarts = 0;
  for (const RankReport& report : outcomes.reports) restarts = std::max(restarts, report.restarts);
  std::vector<RankReport> reports = outcomes.reports;
  std::erase_if(reports, [&](const RankReport& report) { return report.restarts != restarts; });
  return reports;
}

bool has_launcher() { return launcher_of_rank().has_value(); }

void end_with_launcher() {
  const std::optional<Launcher> launcher = launcher_in_environment();
  const bool under_torchrun = std::getenv("TORCHELASTIC_RUN_ID") != nullptr;  // NOLINT(concurrency-mt-unsafe)
  if (!launcher && !under_torchrun) return;
  const pid_t parent = launcher ? launcher->torchrun : getppid();
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) raise(SIGKILL);  // the parent ended before the call above
}

bool report_failure(ExitCode code, const std::string& message, bool secondary) noexcept {
  return tell(
      {.kind = RankReport::Kind::failed, .code = static_cast<int>(code), .secondary = secondary, .message = message});
}

int report_stop(int signal) {
  const int code = 128 + signal;
  return tell({.kind = RankReport::Kind::stopped, .code = code}) ? 0 : code;
}

TakesSignals::TakesSignals() { tell({.kind = RankReport::Kind::takes_signals}); }

TakesSignals::~TakesSignals() { tell({.kind = RankReport::Kind::ends_by_signals}); }

}  // namespace trainyard
