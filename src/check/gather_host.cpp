#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <set>

#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "check/gather.h"
#include "util/file_system.h"
#include "util/printable.h"
#include "util/system.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;

// Empty if the file cannot be read: which of these files exist depends on the kernel.
std::string first_line(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::vector<fs::path> entries(const fs::path& folder) {
  std::vector<fs::path> result;
  std::error_code error;
  for (fs::directory_iterator each(folder, error), end; !error && each != end; each.increment(error)) {
    result.push_back(each->path());
  }
  std::sort(result.begin(), result.end());
  return result;
}

std::string distribution() {
  std::ifstream file("/etc/os-release");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("PRETTY_NAME=")) continue;
    line.erase(0, std::strlen("PRETTY_NAME="));
    std::erase(line, '"');
    return line;
  }
  return "";
}

std::string container() {
  std::error_code error;
  if (std::getenv("KUBERNETES_SERVICE_HOST")) return "kubernetes";
  if (fs::exists("/run/.containerenv", error)) return "podman";
  if (fs::exists("/.dockerenv", error)) return "docker";
  if (const char* name = std::getenv("container")) {
    return std::strcmp(name, "podman") == 0 || std::strcmp(name, "lxc") == 0 ? name : "other";
  }
  const std::string cgroup = first_line("/proc/1/cgroup");
  for (const char* word : {"docker", "containerd", "kubepods", "lxc"}) {
    if (cgroup.find(word) != std::string::npos) return "other";
  }
  return "";
}

// The initial IPC namespace has this number on every Linux; a container with its own namespace has another.
bool shares_ipc() {
  std::error_code error;
  return fs::read_symlink("/proc/self/ns/ipc", error) == "ipc:[4026531839]";
}

int physical_cores() {
  std::set<std::string> cores;
  for (const fs::path& cpu : entries("/sys/devices/system/cpu")) {
    if (const std::string siblings = first_line(cpu / "topology/thread_siblings_list"); !siblings.empty()) {
      cores.insert(siblings);
    }
  }
  return static_cast<int>(cores.size());
}

Limit number_in(const fs::path& path) {
  const std::string line = first_line(path);
  char* end = nullptr;
  const std::uint64_t value = std::strtoull(line.c_str(), &end, 10);
  return end == line.c_str() ? Limit() : Limit(value);
}

// This process's cgroups, from its own up to the root, as folders of /sys/fs/cgroup. In a container only the root
// exists.
std::vector<fs::path> cgroup_folders() {
  std::vector<fs::path> folders;
  std::ifstream file("/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("0::/")) continue;
    for (fs::path group = line.substr(4);; group = group.parent_path()) {
      folders.push_back("/sys/fs/cgroup" / group);
      if (group.empty()) break;
    }
  }
  return folders;
}

void take_smaller(Limit& limit, Limit other) {
  if (other && (!limit || *other < *limit)) limit = other;
}

void gather_cgroup(HostFacts& host) {
  std::error_code error;
  host.out_of_memory_kills = out_of_memory_kills();
  if (!fs::exists("/sys/fs/cgroup/cgroup.controllers", error)) {
    const fs::path v1 = "/sys/fs/cgroup";
    if (fs::exists(v1 / "memory", error) || fs::exists(v1 / "cpu", error)) host.cgroup = "v1";
    host.memory_limit = number_in(v1 / "memory/memory.limit_in_bytes");
    host.memory_used = number_in(v1 / "memory/memory.usage_in_bytes").value_or(0);
    host.processes_limit = number_in(v1 / "pids/pids.max");
    const auto quota = number_in(v1 / "cpu/cpu.cfs_quota_us");  // -1: none
    const auto period = number_in(v1 / "cpu/cpu.cfs_period_us");
    if (quota && period && *period > 0 && *quota < 1u << 31) {
      host.cpu_quota = static_cast<double>(*quota) / static_cast<double>(*period);
    }
  } else {
    host.cgroup = "v2";
    for (const fs::path& folder : cgroup_folders()) {
      take_smaller(host.memory_limit, number_in(folder / "memory.max"));
      take_smaller(host.processes_limit, number_in(folder / "pids.max"));
      if (host.memory_used == 0) host.memory_used = number_in(folder / "memory.current").value_or(0);
      std::ifstream file(folder / "cpu.max");
      double quota = 0;
      double period = 0;
      if (file >> quota >> period && period > 0 && (host.cpu_quota == 0 || quota / period < host.cpu_quota)) {
        host.cpu_quota = quota / period;
      }
    }
  }
  // Version 1 represents "none" as a huge number.
  if (host.memory_limit && *host.memory_limit >= host.memory) host.memory_limit.reset();
}

void gather_pci(HostFacts& host) {
  for (const fs::path& device : entries("/sys/bus/pci/devices")) {
    if (first_line(device / "vendor") != "0x10de") continue;
    const std::string kind = first_line(device / "class");
    if (kind.starts_with("0x03")) host.nvidia_cards.push_back(first_line(device / "device"));
    if (kind.starts_with("0x0680")) ++host.nvswitches;
  }
  for (const fs::path& adapter : entries("/sys/class/infiniband")) {
    host.infiniband.push_back(adapter.filename().string());
  }
}

void gather_device_nodes(HostFacts& host) {
  for (const fs::path& path : entries("/dev")) {
    const std::string name = path.filename().string();
    if (!name.starts_with("nvidia") && name != "dxg") continue;
    if (fs::is_directory(path)) continue;
    DeviceNode node{name, ""};
    if (name == "nvidiactl") {  // opening a card itself would start it
      const UniqueFd fd(open(path.c_str(), O_RDWR | O_CLOEXEC));
      if (!fd) node.error = std::strerror(errno);
    }
    host.device_nodes.push_back(std::move(node));
  }
}

}  // namespace

HostFacts gather_host(bool names) {
  HostFacts host;
  host.distribution = anonymous(distribution());
  utsname system{};
  if (uname(&system) == 0) host.kernel = anonymous(system.release);
  host.container = container();
  host.wsl2 = host.kernel.find("microsoft") != std::string::npos || host.kernel.find("WSL2") != std::string::npos;
  host.shares_ipc = shares_ipc();
  host.cores = usable_cores();
  host.logical_cores = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  host.physical_cores = physical_cores();
  host.memory = meminfo("MemTotal:");
  host.memory_available = meminfo("MemAvailable:");
  gather_cgroup(host);
  gather_pci(host);
  host.kernel_module = anonymous(first_line("/proc/driver/nvidia/version"));
  gather_device_nodes(host);
  host.clock = std::time(nullptr);
  if (struct stat program{}; stat("/proc/self/exe", &program) == 0) host.program_time = program.st_mtime;
  host.uid = static_cast<int>(geteuid());
  if (names) {
    host.name = printable(system.nodename);
    const passwd* user = getpwuid(geteuid());
    host.user = user ? printable(user->pw_name) : "";
  }
  return host;
}

}  // namespace trainyard
