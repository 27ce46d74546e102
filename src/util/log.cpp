#include "util/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

namespace trainyard {

void log_to_stderr() { spdlog::set_default_logger(spdlog::stderr_color_mt("trainyard")); }

void log_warning(const std::string& line) { spdlog::default_logger_raw()->log(spdlog::level::warn, line); }

void log_error(const std::string& line) { spdlog::default_logger_raw()->log(spdlog::level::err, line); }

}  // namespace trainyard
