// What has to happen before the constructors of the libraries run; those of LibTorch take a large part of a second.
// Only an executable's .preinit_array runs before them, so only system calls are used here.

#include <cerrno>
#include <string_view>

#include <linux/limits.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/error.h"
#include "util/signals.h"

namespace trainyard {
namespace {

// Ends the program with an explanation if its working directory has been deleted. Otherwise MKL, which LibTorch is
// linked with, ends it from a constructor with a message that blames libtorch_cpu.so.
//
// Sanitizers are not initialized yet.
__attribute__((no_sanitize("address"), no_sanitize("thread"), no_sanitize("undefined"))) void require_working_folder() {
  static char folder[PATH_MAX];
  if (syscall(SYS_getcwd, folder, sizeof folder) != -1 || errno != ENOENT) return;
  constexpr std::string_view said =
      "[trainyard] the working directory has been deleted: change to a folder that exists, e.g. cd ~\n";
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, said.data(), said.size());
  _exit(static_cast<int>(ExitCode::usage));
}

void before_libraries(int /*argc*/, char** /*argv*/, char** /*environment*/) {
  hold_back_save_requests();
  require_working_folder();
}

[[gnu::section(".preinit_array"), gnu::used]] void (*const early)(int, char**, char**) = before_libraries;

}  // namespace
}  // namespace trainyard
