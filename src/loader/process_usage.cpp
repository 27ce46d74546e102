#include "loader/process_usage.h"

#include <fstream>
#include <sstream>
#include <string>

#include <fmt/format.h>
#include <unistd.h>

namespace trainyard {

std::vector<pid_t> processes_of(const WorkerPool& pool) {
  std::vector<pid_t> processes = {getpid()};
  if (pool.zygote_pid() < 0) return processes;
  processes.push_back(pool.zygote_pid());
  for (const WorkerStatus& worker : pool.status()) processes.push_back(worker.pid);
  return processes;
}

double cpu_seconds(std::span<const pid_t> processes) {
  double ticks = 0;
  for (const pid_t process : processes) {
    std::string text;
    std::getline(std::ifstream(fmt::format("/proc/{}/stat", process)), text);
    std::istringstream fields(text.substr(text.rfind(')') + 1));
    std::string skipped;
    for (int field = 3; field < 14; ++field) fields >> skipped;
    double user = 0;
    double system = 0;
    fields >> user >> system;
    ticks += user + system;
  }
  return ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
}

double pss_mib(std::span<const pid_t> processes) {
  double kib = 0;
  for (const pid_t process : processes) {
    std::ifstream rollup(fmt::format("/proc/{}/smaps_rollup", process));
    for (std::string line; std::getline(rollup, line);) {
      if (line.starts_with("Pss:")) kib += std::stod(line.substr(4));
    }
  }
  return kib / 1024;
}

}  // namespace trainyard
