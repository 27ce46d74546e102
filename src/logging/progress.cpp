#include "logging/progress.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "util/output.h"

namespace trainyard {
namespace {

constexpr auto terminal_interval = std::chrono::milliseconds(100);
constexpr auto plain_interval = std::chrono::seconds(30);

std::size_t terminal_columns() {
  struct winsize size{};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

bool can_overwrite() {
  const char* const term = std::getenv("TERM");
  return isatty(STDOUT_FILENO) == 1 && term != nullptr && std::string_view(term) != "dumb";
}

void write_at_once(const std::string& text) {
  write_output(text);
  flush_output();
}

}  // namespace

Progress::Progress() : terminal_(can_overwrite()) {}

Progress::~Progress() {
  if (line_open_) std::fputs("\n", stdout);  // unlike write_output(), it does not throw
}

bool Progress::due() const {
  const auto since = Clock::now() - shown_;
  return terminal_ ? since >= terminal_interval : since >= plain_interval;
}

void Progress::show(const ProgressState& state) {
  shown_ = Clock::now();
  if (terminal_) {
    write_at_once(fmt::format("\r\033[K{}", format_progress(state, terminal_columns() - 1)));
    line_open_ = true;
  } else {
    write_at_once(format_progress(state) + "\n");
  }
}

void Progress::print(const std::string& line) {
  write_at_once(fmt::format("{}{}\n", line_open_ ? "\r\033[K" : "", line));
  line_open_ = false;
}

std::string format_progress(const ProgressState& s, std::size_t columns) {
  struct Part {
    int rank;  // 0 is the most important
    std::string text;
  };
  const auto gib = static_cast<double>(s.gpu_memory) / (1 << 30);
  std::vector<Part> parts = {{0, fmt::format("epoch {}/{}", s.epoch, s.epochs)},
                             {3, fmt::format("step {}/{}", s.step, s.steps)}};
  for (std::size_t i = 0; i < s.metrics.size(); ++i) {
    const auto& [name, value] = s.metrics[i];
    const int rank = i == 0 ? 1 : i == 1 ? 4 : 8;
    parts.push_back({rank, fmt::format("train/{} {}", name, metric_text(value, i == 0 ? 4 : 3))});
  }
  parts.insert(parts.end(), {{5, fmt::format("{:.0f}/s", s.samples_per_second)},
                             {6, fmt::format("wait {:.0f} %", 100 * s.data_wait)},
                             {7, s.gpu_memory > 0 ? fmt::format("GPU {:.1f} GiB", gib) : ""},
                             {2, s.seconds_left ? "left " + format_duration(*s.seconds_left) : ""}});
  for (int least = 8;; --least) {
    std::string line;
    for (const Part& part : parts) {
      if (part.rank <= least && !part.text.empty()) line += (line.empty() ? "" : "  ") + part.text;
    }
    if (line.size() <= columns) return line;
    if (least == 0) return line.substr(0, columns);
  }
}

std::string format_duration(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::llround(seconds));
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

}  // namespace trainyard
