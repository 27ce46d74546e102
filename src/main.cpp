#include <fmt/format.h>

#include <c10/util/Exception.h>

#include "commands/command_line.h"
#include "util/error.h"
#include "util/log.h"

int main(int argc, char** argv) {
  using namespace trainyard;
  log_to_stderr();
  try {
    const std::optional<CommandLine> line = parse_command_line(argc, argv);
    return line ? line->command->run(line->config) : static_cast<int>(ExitCode::done);
  } catch (const Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return static_cast<int>(error.code());
  } catch (const c10::Error& error) {
    fmt::print(stderr, "[libtorch] {}\n", error.what_without_backtrace());
  } catch (const std::exception& error) {
    fmt::print(stderr, "[trainyard] {}\n", error.what());
  }
  return static_cast<int>(ExitCode::run_failed);
}
