#include "check/visible_gpus.h"

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <span>
#include <sstream>
#include <string>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check/gather.h"
#include "util/log.h"
#include "util/system.h"
#include "util/text_lines.h"

namespace trainyard {
namespace {

// The child's side: writes two lines for each GPU, "INDEX NAME" and its error.
[[noreturn]] void write_gpus(int output) noexcept {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  DriverFacts driver;
  std::vector<DeviceFacts> devices;
  gather_libcuda(driver, devices);
  std::string lines;
  for (const DeviceFacts& device : devices) {
    lines += fmt::format("{} {}\n{}\n", device.index, device.name, first_line(device.error));
  }
  write_all(output, std::as_bytes(std::span(lines)), "check", "list of GPUs");
  _exit(0);
}

std::string read_for(std::chrono::milliseconds limit, int input) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  std::string text;
  std::array<char, 4096> part;
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    pollfd waiting{input, POLLIN, 0};
    if (left <= 0 || retry_on_eintr([&] { return poll(&waiting, 1, static_cast<int>(left)); }) <= 0) return "";
    const ssize_t got = retry_on_eintr([&] { return read(input, part.data(), part.size()); });
    if (got <= 0) return text;
    text.append(part.data(), static_cast<std::size_t>(got));
  }
}

}  // namespace

std::vector<DeviceFacts> visible_gpus() {
  constexpr std::chrono::milliseconds limit{60'000};
  std::array<int, 2> ends{};
  check_call(pipe2(ends.data(), O_CLOEXEC), "check", "pipe2", "list of GPUs");
  const UniqueFd input(ends[0]);
  UniqueFd output(ends[1]);
  const pid_t pid = fork();
  if (pid < 0) {
    log_warning(
        "[check] the GPUs cannot be counted: fork: {}; at most one of them is used: see `ulimit -u` and the "
        "container's limit of processes, or name one with --train.device",
        std::strerror(errno));  // NOLINT(concurrency-mt-unsafe): one thread
    return {};
  }
  if (pid == 0) write_gpus(output.get());
  output.reset();
  std::istringstream lines(read_for(limit, input.get()));
  kill(pid, SIGKILL);  // it may hang in the driver; otherwise it has ended or is about to
  retry_on_eintr([&] { return waitpid(pid, nullptr, 0); });
  std::vector<DeviceFacts> devices;
  for (DeviceFacts device; lines >> device.index && lines.ignore() && std::getline(lines, device.name) &&
                           std::getline(lines, device.error);) {
    devices.push_back(device);
  }
  return devices;
}

}  // namespace trainyard
