#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "check/gather.h"
#include "util/system.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;

// Empty where the file cannot be read: these files come and go with kernels.
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

int physical_cores() {
  std::set<std::string> cores;
  for (const fs::path& cpu : entries("/sys/devices/system/cpu")) {
    if (const std::string siblings = first_line(cpu / "topology/thread_siblings_list"); !siblings.empty()) {
      cores.insert(siblings);
    }
  }
  return static_cast<int>(cores.size());
}

// A line of /proc/meminfo in bytes, 0 where it is missing.
std::uint64_t meminfo(std::string_view key) {
  std::ifstream file("/proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(key)) return std::strtoull(line.c_str() + key.size(), nullptr, 10) << 10;
  }
  return 0;
}

Limit number_in(const fs::path& path) {
  const std::string line = first_line(path);
  char* end = nullptr;
  const std::uint64_t value = std::strtoull(line.c_str(), &end, 10);
  return end == line.c_str() ? Limit() : Limit(value);
}

// The smallest limit from this process's cgroup up to the root; version 1 says "none" with a huge number.
Limit memory_limit(std::uint64_t memory) {
  Limit least = number_in("/sys/fs/cgroup/memory/memory.limit_in_bytes");
  std::ifstream file("/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("0::/")) continue;
    for (fs::path group = line.substr(4);; group = group.parent_path()) {
      const Limit limit = number_in("/sys/fs/cgroup" / group / "memory.max");
      if (limit && (!least || *limit < *least)) least = limit;
      if (group.empty()) break;
    }
  }
  return least && *least < memory ? least : Limit();
}

void gather_pci(HostFacts& host) {
  for (const fs::path& device : entries("/sys/bus/pci/devices")) {
    if (first_line(device / "vendor") != "0x10de") continue;
    const std::string kind = first_line(device / "class");
    if (kind.starts_with("0x03")) host.nvidia_cards.push_back(first_line(device / "device"));
    if (kind.starts_with("0x0680")) ++host.nvswitches;
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

Limit soft_limit(decltype(RLIMIT_NOFILE) resource) {
  rlimit limit{};
  if (getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return {};
  return limit.rlim_cur;
}

std::uint64_t free_space(const std::string& path) {
  struct statvfs space{};
  return statvfs(path.c_str(), &space) == 0 ? std::uint64_t{space.f_bavail} * space.f_frsize : 0;
}

FolderFacts gather_folder(const std::string& purpose, const std::string& path, bool written) {
  FolderFacts folder{purpose, anonymous(path), false, false, 0};
  std::error_code error;
  folder.exists = fs::is_directory(path, error);
  fs::path nearest = fs::absolute(path, error);
  // A folder to write that is not there yet can be made where its nearest parent can be written.
  while (written && !fs::exists(nearest, error) && nearest.has_relative_path()) nearest = nearest.parent_path();
  folder.usable = fs::is_directory(nearest, error) && access(nearest.c_str(), (written ? W_OK : R_OK) | X_OK) == 0;
  folder.free = free_space(nearest.string());
  return folder;
}

}  // namespace

HostFacts gather_host() {
  HostFacts host;
  host.distribution = anonymous(distribution());
  utsname system{};
  if (uname(&system) == 0) host.kernel = anonymous(system.release);
  host.container = container();
  host.wsl2 = host.kernel.find("microsoft") != std::string::npos || host.kernel.find("WSL2") != std::string::npos;
  host.cores = usable_cores();
  host.logical_cores = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  host.physical_cores = physical_cores();
  host.memory = meminfo("MemTotal:");
  host.memory_available = meminfo("MemAvailable:");
  host.memory_limit = memory_limit(host.memory);
  gather_pci(host);
  host.kernel_module = anonymous(first_line("/proc/driver/nvidia/version"));
  gather_device_nodes(host);
  host.clock = std::time(nullptr);
  return host;
}

SharedMemoryFacts gather_shared_memory(const std::string& path, std::uint64_t wanted) {
  SharedMemoryFacts memory;
  memory.path = path;
  struct statvfs space{};
  if (statvfs(path.c_str(), &space) != 0) {
    memory.error = std::strerror(errno);
    return memory;
  }
  memory.size = std::uint64_t{space.f_blocks} * space.f_frsize;
  memory.free = std::uint64_t{space.f_bavail} * space.f_frsize;
  const UniqueFd fd(open(path.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  memory.writable = static_cast<bool>(fd);
  if (!fd) {
    memory.error = std::strerror(errno);
    return memory;
  }
  memory.tried = std::min<std::uint64_t>(wanted, 64u << 20);
  if (memory.tried == 0) return memory;
  // Not ftruncate: that promises pages which a later touch may not get, and the process dies of a bus error.
  const int error = posix_fallocate(fd.get(), 0, static_cast<off_t>(memory.tried));
  if (error != 0) memory.error = std::strerror(error);
  return memory;
}

LimitFacts gather_limits() { return {soft_limit(RLIMIT_NOFILE), soft_limit(RLIMIT_MEMLOCK)}; }

std::vector<FolderFacts> gather_folders(const Needs& needs) {
  std::vector<FolderFacts> folders;
  if (!needs.run_dir.empty()) folders.push_back(gather_folder("runs", needs.run_dir, true));
  if (!needs.data_root.empty()) folders.push_back(gather_folder("data", needs.data_root, false));
  return folders;
}

std::map<std::string, std::string> gather_environment() {
  std::map<std::string, std::string> environment;
  for (const char* name : {"CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES",
                           "LD_LIBRARY_PATH", "CUDA_LAUNCH_BLOCKING"}) {
    if (const char* value = std::getenv(name)) environment[name] = anonymous(value);
  }
  return environment;
}

std::string anonymous(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  const auto replace = [&text](std::string_view start, std::string_view ends, std::string_view by) {
    std::size_t place = 0;
    while ((place = text.find(start, place)) != std::string::npos) {
      const std::size_t end = std::min(text.find_first_of(ends, place + start.size()), text.size());
      text.replace(place, end - place, by);
      place += by.size();
    }
  };
  // The home folder is whole only where its name ends: /home/ann is not the start of /home/anna.
  if (const char* home = std::getenv("HOME"); home && std::strlen(home) > 1) {
    const std::string_view folder(home);
    for (std::size_t place = 0; (place = text.find(folder, place)) != std::string::npos;) {
      const std::size_t end = place + folder.size();
      const bool whole = end == text.size() || text[end] == '/' || text[end] == ':';
      if (whole) text.replace(place, folder.size(), "~");
      place += whole ? 1 : folder.size();
    }
  }
  replace("/home/", "/: ", "/home/*");
  replace("GPU-", ", ", "GPU-*");
  replace("MIG-", ", ", "MIG-*");
  return text;
}

}  // namespace trainyard
