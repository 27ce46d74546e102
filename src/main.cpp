#include <csignal>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <system_error>

#include <fmt/format.h>
#include <unistd.h>

#include "commands/command_line.h"
#include "distributed/outcome.h"
#include "distributed/rank.h"
#include "util/error.h"
#include "util/log.h"
#include "util/output.h"
#include "util/secondary_error.h"
#include "util/signals.h"
#include "util/stack_limit.h"
#include "util/text_lines.h"
#include "util/torch_errors.h"

namespace trainyard {
namespace {

int run(int argc, char** argv) {
  const std::optional<CommandLine> line = parse_command_line(argc, argv);
  if (line && !line->command->product_is_output()) continue_without_output();
  const int code = line ? line->command->run(line->config) : static_cast<int>(ExitCode::done);
  flush_output();
  return code;
}

// Ends silently by the signal, like a program that does not ignore it; a shell reports 141.
int end_by_closed_pipe() {
  std::signal(SIGPIPE, SIG_DFL);
  std::raise(SIGPIPE);
  return 128 + SIGPIPE;
}

// If a thread cannot be started, the exception contains only the system's message.
std::string explained(const std::system_error& error) {
  const bool refused =
      error.code() == std::errc::resource_unavailable_try_again || error.code() == std::errc::operation_not_permitted;
  return fmt::format("[trainyard] {}{}", error.what(),
                     refused ? "; a thread was probably refused: see `ulimit -u`, the container's limit of processes "
                               "(--pids-limit) and its seccomp profile"
                             : "");
}

// Adds the rank to `line` if there are several. If there is a launcher, it does this instead.
std::string with_rank_prefix(const std::string& line) {
  try {
    const Rank rank = rank_of_process();
    if (rank.alone()) return line;
    return fmt::format("[distributed] rank {} of {} on {}: {}", rank.rank, rank.world_size, host_name(), line);
  } catch (const Error&) {  // of the environment: probably what `line` reports
    return line;
  }
}

// Errors that all ranks find alike, e.g. of usage, are printed once, by their launcher.
int fail(ExitCode code, const std::string& line) {
  const bool told = report_failure(code, line);
  if (code == ExitCode::usage) {
    if (!told) print_error(line);
  } else {
    print_error(told ? line : with_rank_prefix(line));
  }
  return static_cast<int>(code);
}

// The launcher prints the first cause; without a launcher, one rank per host does.
int fail_with_another_rank(const SecondaryError& error) {
  const bool told = report_failure(error.code(), error.what(), /*secondary=*/true);
  if (!told && error.must_print()) print_error(error.what());
  return static_cast<int>(error.code());
}

// While the error of a failed GPU propagates, destructors of tensors and events encounter the same error, and one that
// throws ends the program. Any other cause is a bug: abort, which leaves a core file.
[[noreturn]] void end_by_terminate() {
  try {
    if (const std::exception_ptr error = std::current_exception()) std::rethrow_exception(error);
  } catch (const c10::Error& error) {
    _exit(fail(ExitCode::run_failed, std::string(first_line(message_of(error)))));
  } catch (const std::exception& error) {
    print_error(fmt::format("[trainyard] terminated by an exception: {}", error.what()));
  } catch (...) {
    print_error("[trainyard] terminated by an exception of an unknown type");
  }
  std::abort();
}

}  // namespace
}  // namespace trainyard

int main(int argc, char** argv) {
  using namespace trainyard;
  prepare_standard_streams();
  prepare_signals();
  std::set_terminate(end_by_terminate);
  try {
    log_to_stderr();
    raise_stack_limit();
    return run(argc, argv);
  } catch (const OutputError& error) {
    if (error.closed_pipe()) return end_by_closed_pipe();
    return fail(error.code(), error.what());
  } catch (const SecondaryError& error) {
    return fail_with_another_rank(error);
  } catch (const Error& error) {
    return fail(error.code(), error.what());
  } catch (const c10::Error& error) {
    return fail(ExitCode::run_failed, message_of(error));
  } catch (const std::filesystem::filesystem_error& error) {
    return fail(ExitCode::run_failed, fmt::format("[trainyard] {}", error.what()));
  } catch (const std::system_error& error) {
    return fail(ExitCode::run_failed, explained(error));
  } catch (const std::exception& error) {
    return fail(ExitCode::run_failed, fmt::format("[trainyard] {}", error.what()));
  }
}
