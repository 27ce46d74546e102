#include "support/subprocess.h"

#include <cstdlib>

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/system.h"

namespace trainyard {

Subprocess::Subprocess(const std::vector<std::string>& command, const std::vector<std::string>& environment) {
  std::string path = "/tmp/trainyard-test-XXXXXX";
  output_ = check_call(mkostemp(path.data(), O_CLOEXEC), "test", "mkostemp", path);
  unlink(path.c_str());

  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  std::vector<char*> variables;
  for (const std::string& variable : environment) variables.push_back(const_cast<char*>(variable.c_str()));
  for (char** variable = environ; *variable != nullptr; ++variable) variables.push_back(*variable);
  variables.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output_, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output_, STDERR_FILENO);
  // A shell without job control lets what it runs in the background ignore these signals, tests included.
  sigset_t not_ignored;
  sigemptyset(&not_ignored);
  sigaddset(&not_ignored, SIGINT);
  sigaddset(&not_ignored, SIGQUIT);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  posix_spawnattr_setsigdefault(&attributes, &not_ignored);
  const int error = posix_spawnp(&pid_, arguments[0], &actions, &attributes, arguments.data(), variables.data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw_system_error("test", "posix_spawnp", command[0], error);
}

Subprocess::~Subprocess() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  close(output_);
}

void Subprocess::signal(int number) const { check_call(kill(pid_, number), "test", "kill", std::to_string(pid_)); }

bool Subprocess::is_running() const {
  siginfo_t ended{};
  check_call(waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOHANG | WNOWAIT), "test", "waitid",
             std::to_string(pid_));
  return ended.si_pid == 0;
}

std::string Subprocess::output_so_far() const {
  std::string text;
  std::string part(4096, '\0');
  for (ssize_t n = 0; (n = pread(output_, part.data(), part.size(), static_cast<off_t>(text.size()))) > 0;) {
    text.append(part, 0, static_cast<std::size_t>(n));
  }
  return text;
}

Outcome Subprocess::wait() {
  int status = 0;
  check_call(retry_on_eintr([&] { return waitpid(pid_, &status, 0); }), "test", "waitpid", std::to_string(pid_));
  pid_ = -1;
  return {.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), .output = output_so_far()};
}

Outcome run_program(const std::vector<std::string>& command, const std::vector<std::string>& environment) {
  return Subprocess(command, environment).wait();
}

}  // namespace trainyard
