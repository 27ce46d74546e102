// Ends the program with an explanation if its working directory has been deleted. Otherwise MKL, which LibTorch is
// linked with, ends it from a constructor, before main, with a message that blames libtorch_cpu.so. Only an
// executable's .preinit_array runs before the constructors of its libraries, so only system calls are used here.

#include <cerrno>
#include <string_view>

#include <linux/limits.h>
#include <unistd.h>

#include "util/error.h"

namespace trainyard {
namespace {

// Sanitizers are not initialized yet.
__attribute__((no_sanitize("address"), no_sanitize("thread"), no_sanitize("undefined"))) void require_working_folder(
    int, char**, char**) {
  static char folder[PATH_MAX];
  if (getcwd(folder, sizeof folder) != nullptr || errno != ENOENT) return;
  constexpr std::string_view said =
      "[trainyard] the working directory has been deleted: change to a folder that exists, e.g. cd ~\n";
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, said.data(), said.size());
  _exit(static_cast<int>(ExitCode::usage));
}

[[gnu::section(".preinit_array"), gnu::used]] void (*const early)(int, char**, char**) = require_working_folder;

}  // namespace
}  // namespace trainyard
