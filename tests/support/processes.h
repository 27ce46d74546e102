/// Inspects other processes through /proc and waits for conditions.
#pragma once

#include <chrono>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <sys/types.h>

namespace trainyard {

/// Waits until `condition` is true; returns whether it became true. Gives up after a time that even a machine that does
/// much else does not need.
template <typename Condition>
bool comes_true(Condition condition) {
  constexpr std::chrono::minutes limit(5);
  for (const auto until = std::chrono::steady_clock::now() + limit; std::chrono::steady_clock::now() < until;) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return false;
}

/// Returns whether the process is gone or a zombie that its parent has not reaped yet.
inline bool has_ended(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("State:")) return line.find('Z') != std::string::npos;
  }
  return true;
}

/// Returns the child processes started by the main thread of `parent`.
inline std::vector<pid_t> children_of(pid_t parent) {
  std::ifstream file("/proc/" + std::to_string(parent) + "/task/" + std::to_string(parent) + "/children");
  std::vector<pid_t> children;
  for (pid_t child = 0; file >> child;) children.push_back(child);
  return children;
}

/// Returns the lines of /proc/PID/maps that map a named file in /dev/shm, for `process` and its descendants.
inline std::vector<std::string> named_shared_memory(pid_t process) {
  std::vector<std::string> named;
  std::ifstream maps("/proc/" + std::to_string(process) + "/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.find(" /dev/shm/") != std::string::npos && !line.ends_with(" (deleted)")) named.push_back(line);
  }
  for (const pid_t child : children_of(process)) {
    for (const std::string& line : named_shared_memory(child)) named.push_back(line);
  }
  return named;
}

/// Counts the occurrences of `words` in `text`.
inline int count_of(const std::string& text, const std::string& words) {
  int count = 0;
  for (std::size_t place = 0; (place = text.find(words, place)) != std::string::npos; place += words.size()) ++count;
  return count;
}

}  // namespace trainyard
