#include "util/system.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/system_error.h"

namespace trainyard {

namespace {

// What to do about a path that a user may have given, or about a limit; empty for all other errors.
std::string_view hint_for(int error) {
  switch (error) {
    case ENOENT:
      return "check the path";
    case ENOTDIR:
      return "a part of the path is a file: check it";
    case EISDIR:
      return "a folder is in its place: move it away";
    case ELOOP:
      return "a link leads back to itself: remove it";
    case EACCES:
    case EPERM:
      return "check the permissions";
    case EROFS:
      return "choose another place, or mount it writable";
    case ENOSPC:
    case EDQUOT:
      return "make room, or choose another place";
    case EMFILE:
    case ENFILE:
    case ETOOMANYREFS:  // too many descriptors are on their way through sockets
      return "see `ulimit -n`";
    default:
      return "";
  }
}

}  // namespace

void throw_system_error(std::string_view where, std::string_view call, std::string_view subject, int error,
                        std::string_view hint) {
  throw SystemError(error, where, fmt::format("{} ({}): {}", call, subject, std::strerror(error)),
                    hint.empty() ? hint_for(error) : hint);
}

void UniqueFd::reset(int fd) noexcept {
  if (fd_ >= 0) close(fd_);  // nothing useful can be done if close fails
  fd_ = fd;
}

namespace {

const char* kind_of_file(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFDIR:
      return "a folder";
    case S_IFIFO:
      return "a named pipe";
    case S_IFSOCK:
      return "a socket";
    case S_IFCHR:
    case S_IFBLK:
      return "a device";
    default:
      return "something else";
  }
}

}  // namespace

std::uint64_t regular_file_size(int fd, std::string_view where, std::string_view subject) {
  struct stat status{};
  check_call(fstat(fd, &status), where, "fstat", subject);
  if (!S_ISREG(status.st_mode)) {
    throw RunError(where, "{} is {}, not a regular file", subject, kind_of_file(status.st_mode));
  }
  return static_cast<std::uint64_t>(status.st_size);
}

UniqueFd open_regular_file(const std::string& path, std::string_view where, int flags) {
  // Without O_NONBLOCK, opening a named pipe waits for its other end; for a regular file the flag has no effect.
  const int opened =
      retry_on_eintr([&] { return open(path.c_str(), flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0666); });
  struct stat status{};
  if (opened == -1 && errno == ENXIO && stat(path.c_str(), &status) == 0) {
    throw RunError(where, "{} is {}, not a regular file", path, kind_of_file(status.st_mode));
  }
  UniqueFd fd(check_call(opened, where, "open", path));
  regular_file_size(fd.get(), where, path);
  return fd;
}

Mapping::~Mapping() {
  if (address_ != nullptr) munmap(address_, size_);
}

Mapping Mapping::read_only_file(const std::string& path, std::string_view where) {
  const UniqueFd fd = open_regular_file(path, where);
  const std::size_t size = regular_file_size(fd.get(), where, path);
  if (size == 0) return {};
  void* address = mmap(nullptr, size, PROT_READ, MAP_SHARED, fd.get(), 0);
  if (address == MAP_FAILED) throw_system_error(where, "mmap", path, errno);
  return {address, size};
}

Mapping Mapping::shared(int fd, std::string_view where, std::string_view subject) {
  const std::size_t size = regular_file_size(fd, where, subject);
  void* address = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (address == MAP_FAILED) throw_system_error(where, "mmap", subject, errno);
  return {address, size};
}

namespace {

void* map_memory(std::size_t size, int access, int how, std::string_view where) {
  void* address = mmap(nullptr, size, access, how | MAP_ANONYMOUS, -1, 0);
  if (address == MAP_FAILED) throw_system_error(where, "mmap", fmt::format("{} bytes of memory", size), errno);
  return address;
}

}  // namespace

Mapping Mapping::addresses(std::size_t size, std::string_view where) {
  return {map_memory(size, PROT_NONE, MAP_PRIVATE | MAP_NORESERVE, where), size};
}

void Mapping::put(std::size_t begin, std::size_t bytes, int fd, std::size_t offset, std::string_view where) {
  void* const address = this->bytes().subspan(begin, bytes).data();
  if (mmap(address, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, static_cast<off_t>(offset)) ==
      MAP_FAILED) {
    throw_system_error(where, "mmap", "a part of shared memory", errno);
  }
}

Mapping Mapping::anonymous(std::size_t size, std::string_view where) {
  return {map_memory(size, PROT_READ | PROT_WRITE, MAP_SHARED, where), size};
}

Mapping Mapping::copied_on_write(std::size_t size, std::string_view where) {
  void* address = map_memory(size, PROT_READ | PROT_WRITE, MAP_PRIVATE, where);
  madvise(address, size, MADV_HUGEPAGE);
  return {address, size};
}

bool map_pages(std::span<std::byte> bytes) noexcept {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const std::size_t before = reinterpret_cast<std::uintptr_t>(bytes.data()) % page;
  return retry_on_eintr([&] { return madvise(bytes.data() - before, bytes.size() + before, MADV_POPULATE_WRITE); }) ==
         0;
}

std::size_t read_at(int fd, std::span<std::byte> bytes, std::uint64_t offset, std::string_view where,
                    std::string_view subject) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count = retry_on_eintr(
        [&] { return pread(fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done)); });
    check_call(count, where, "read", subject);
    if (count == 0) break;
    done += static_cast<std::size_t>(count);
  }
  return done;
}

void write_all(int fd, std::span<const std::byte> bytes, std::string_view where, std::string_view subject) {
  while (!bytes.empty()) {
    const ssize_t written = retry_on_eintr([&] { return write(fd, bytes.data(), bytes.size()); });
    check_call(written, where, "write", subject);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

std::string read_text_file(const std::string& path, std::string_view where, std::size_t most) {
  const UniqueFd fd = open_regular_file(path, where);
  const std::uint64_t size = regular_file_size(fd.get(), where, path);
  if (size > most) throw RunError(where, "{} has {} bytes; at most {} are read", path, size, most);
  std::string text(size, '\0');
  text.resize(read_at(fd.get(), std::as_writable_bytes(std::span(text)), 0, where, path));
  return text;
}

namespace {

// The number of processors that the cgroup's quota allows; 0 if there is no quota.
double cgroup_cores() {
  double quota = 0;
  double period = 0;
  std::string word;
  if (std::ifstream v2("/sys/fs/cgroup/cpu.max"); v2 >> word >> period && word != "max" && period > 0) {
    return std::atof(word.c_str()) / period;
  }
  std::ifstream v1_quota("/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
  std::ifstream v1_period("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
  if (v1_quota >> quota && v1_period >> period && quota > 0 && period > 0) return quota / period;
  return 0;
}

}  // namespace

int usable_cores() {
  cpu_set_t set;
  int cores =
      sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  if (const double quota = cgroup_cores(); quota > 0) cores = std::min(cores, static_cast<int>(std::ceil(quota)));
  return std::max(cores, 1);
}

std::uint64_t out_of_memory_kills() {
  std::ifstream memberships("/proc/self/cgroup");  // lines of hierarchy:controllers:path
  for (std::string line; std::getline(memberships, line);) {
    const std::size_t second_colon = line.find(':', line.find(':') + 1);
    if (second_colon == std::string::npos) continue;
    const std::string path = line.substr(second_colon + 1);
    // Versions 2 and 1. In a container the path may be the host's, and the container's own group is the root.
    for (const std::string& file :
         {"/sys/fs/cgroup" + path + "/memory.events", std::string("/sys/fs/cgroup/memory.events"),
          "/sys/fs/cgroup/memory" + path + "/memory.oom_control",
          std::string("/sys/fs/cgroup/memory/memory.oom_control")}) {
      std::ifstream counts(file);
      std::string name;
      for (std::uint64_t count = 0; counts >> name >> count;) {
        if (name == "oom_kill") return count;
      }
    }
  }
  return 0;
}

}  // namespace trainyard
