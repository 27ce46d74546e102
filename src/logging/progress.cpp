#include "logging/progress.h"

#include <cmath>

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace trainyard {
namespace {

constexpr auto kTerminalInterval = std::chrono::milliseconds(100);
constexpr auto kPlainInterval = std::chrono::seconds(30);

std::size_t terminal_columns(std::FILE* out) {
  struct winsize size{};
  return ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

}  // namespace

Progress::Progress(std::FILE* out) : out_(out), terminal_(isatty(fileno(out)) == 1) {}

Progress::~Progress() {
  if (line_open_) fmt::print(out_, "\n");
}

bool Progress::due() const {
  const auto since = Clock::now() - shown_;
  return terminal_ ? since >= kTerminalInterval : since >= kPlainInterval;
}

void Progress::show(const ProgressState& state) {
  shown_ = Clock::now();
  const std::string line = format_progress(state);
  if (terminal_) {
    fmt::print(out_, "\r\033[K{}", fit_to_columns(line, terminal_columns(out_) - 1));
    line_open_ = true;
  } else {
    fmt::print(out_, "{}\n", line);
  }
  std::fflush(out_);
}

void Progress::print(const std::string& line) {
  fmt::print(out_, "{}{}\n", line_open_ ? "\r\033[K" : "", line);
  line_open_ = false;
  std::fflush(out_);
}

std::string format_progress(const ProgressState& s) {
  return fmt::format("epoch {}/{}  step {}/{}  loss {:.4f}  acc {:.3f}  {:.0f}/s  wait {:.0f} %  left {}", s.epoch,
                     s.epochs, s.step, s.steps, s.loss, s.accuracy, s.samples_per_second, 100 * s.data_wait,
                     format_duration(s.seconds_left));
}

std::string format_duration(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::llround(seconds));
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

std::string fit_to_columns(const std::string& line, std::size_t columns) {
  if (line.size() <= columns) return line;
  const std::size_t cut = line.rfind("  ", columns);
  return line.substr(0, cut == std::string::npos ? columns : cut);
}

}  // namespace trainyard
