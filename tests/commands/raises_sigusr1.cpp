// A library that raises SIGUSR1 while the dynamic linker initializes the libraries, preloaded into a program under test
// (LD_PRELOAD).

#include <string_view>

#include <signal.h>
#include <unistd.h>

namespace {

[[gnu::constructor]] void raise_while_initializing() {
  constexpr std::string_view said = "SIGUSR1 is raised\n";
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, said.data(), said.size());
  raise(SIGUSR1);
}

}  // namespace
