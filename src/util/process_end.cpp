#include "util/process_end.h"

#include <csignal>
#include <cstring>
#include <utility>

#include <fmt/format.h>
#include <sys/wait.h>

namespace trainyard {

std::string signal_text(int number) { return fmt::format("signal {} ({})", number, strsignal(number)); }

std::string ProcessEnds::describe(int wait_status, std::string_view remedy) {
  if (!WIFSIGNALED(wait_status)) return fmt::format("exited with code {}", WEXITSTATUS(wait_status));
  const int number = WTERMSIG(wait_status);
  const std::uint64_t before = std::exchange(out_of_memory_kills_, out_of_memory_kills());
  const bool out_of_memory = number == SIGKILL && out_of_memory_kills_ > before;
  return fmt::format("was killed by {}{}", signal_text(number),
                     out_of_memory ? fmt::format(", probably by the kernel for want of memory: {}", remedy) : "");
}

}  // namespace trainyard
