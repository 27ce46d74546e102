#include "util/log.h"

#include <cstdlib>

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include "util/printable.h"

namespace trainyard {
namespace {

void log(spdlog::level::level_enum level, const std::string& line) {
  spdlog::default_logger_raw()->log(level, printable_lines(line));
}

}  // namespace

void log_to_stderr() {
  const char* const refused = std::getenv("NO_COLOR");
  const auto colours =
      refused != nullptr && *refused != '\0' ? spdlog::color_mode::never : spdlog::color_mode::automatic;
  spdlog::set_default_logger(spdlog::stderr_color_mt("trainyard", colours));
}

void log_warning(const std::string& line) { log(spdlog::level::warn, line); }

void log_error(const std::string& line) { log(spdlog::level::err, line); }

}  // namespace trainyard
