#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check/gather.h"
#include "util/file_system.h"
#include "util/system.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;

Limit as_limit(rlim_t value) { return value == RLIM_INFINITY ? Limit() : Limit(value); }

Limit soft_limit(decltype(RLIMIT_NOFILE) resource) {
  rlimit limit{};
  return getrlimit(resource, &limit) == 0 ? as_limit(limit.rlim_cur) : Limit();
}

Limit hard_limit(decltype(RLIMIT_NOFILE) resource) {
  rlimit limit{};
  return getrlimit(resource, &limit) == 0 ? as_limit(limit.rlim_max) : Limit();
}

int open_descriptors() {
  std::error_code error;
  int count = -1;  // excludes the one that lists them
  for (fs::directory_iterator each("/proc/self/fd", error), end; !error && each != end; each.increment(error)) ++count;
  return std::max(count, 0);
}

std::int64_t newest_entry(const fs::path& folder) {
  std::int64_t newest = 0;
  std::error_code error;
  for (fs::directory_iterator each(folder, error), end; !error && each != end; each.increment(error)) {
    struct stat entry{};
    if (stat(each->path().c_str(), &entry) == 0) newest = std::max<std::int64_t>(newest, entry.st_mtime);
  }
  return newest;
}

FolderFacts gather_folder(const std::string& purpose, const std::string& path, bool written) {
  FolderFacts folder;
  folder.purpose = purpose;
  folder.path = anonymous(path);
  std::error_code error;
  const bool is_file = !written && fs::is_regular_file(path, error);  // data.root may be a file
  folder.exists = is_file || fs::is_directory(path, error);
  if (written && folder.exists) folder.newest = newest_entry(path);
  fs::path nearest = fs::absolute(path, error);
  // A folder that does not exist yet can be created if its nearest existing parent is writable.
  while (written && !fs::exists(nearest, error) && nearest.has_relative_path()) nearest = nearest.parent_path();
  if (written && fs::exists(nearest, error) && !fs::is_directory(nearest, error))
    folder.error = anonymous(nearest) + " is a file";
  const int rights = is_file ? R_OK : (written ? W_OK : R_OK) | X_OK;
  folder.usable = (is_file || fs::is_directory(nearest, error)) && access(nearest.c_str(), rights) == 0;
  if (struct stat there{}; stat(nearest.c_str(), &there) == 0) {
    folder.owner = static_cast<int>(there.st_uid);
    folder.mode = fmt::format("{:04o}", there.st_mode & 07777);
  }
  if (const auto space = space_at(nearest)) {
    folder.free = space->free;
    folder.read_only = space->read_only;
  }
  return folder;
}

}  // namespace

SharedMemoryFacts gather_shared_memory(const std::string& path, std::uint64_t wanted) {
  SharedMemoryFacts memory;
  memory.path = path;
  const auto space = space_at(path);
  if (!space) {
    memory.error = std::strerror(errno);
    return memory;
  }
  memory.size = space->size;
  memory.free = space->free;
  const UniqueFd fd(open(path.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  memory.writable = static_cast<bool>(fd);
  if (!fd) {
    memory.error = std::strerror(errno);
    return memory;
  }
  memory.tried = std::min<std::uint64_t>(wanted, 64u << 20);
  if (memory.tried == 0) return memory;
  // ftruncate would not reserve pages: a later access could then end the process with SIGBUS.
  const int error = posix_fallocate(fd.get(), 0, static_cast<off_t>(memory.tried));
  if (error != 0) memory.error = std::strerror(error);
  return memory;
}

LimitFacts gather_limits() {
  return {.open_files = soft_limit(RLIMIT_NOFILE),
          .open_files_most = hard_limit(RLIMIT_NOFILE),
          .open_now = open_descriptors(),
          .memlock = soft_limit(RLIMIT_MEMLOCK),
          .processes = soft_limit(RLIMIT_NPROC),
          .stack = soft_limit(RLIMIT_STACK),
          .address_space = soft_limit(RLIMIT_AS)};
}

std::vector<FolderFacts> gather_folders(const Needs& needs, const std::string& data_error,
                                        const std::string& saving_error) {
  std::vector<FolderFacts> folders;
  if (!needs.run_dir.empty()) {
    folders.push_back(gather_folder("runs", needs.run_dir, true));
    if (folders.back().usable) folders.back().error = anonymous(saving_error);
  }
  if (!needs.data_root.empty() || !data_error.empty()) {
    folders.push_back(gather_folder("data", needs.data_root, false));
    folders.back().error = anonymous(data_error);
  }
  return folders;
}

std::map<std::string, std::string> gather_environment() {
  std::map<std::string, std::string> environment;
  for (const char* name : {"CUDA_VISIBLE_DEVICES",
                           "CUDA_DEVICE_MAX_CONNECTIONS",
                           "CUDA_DEVICE_ORDER",
                           "CUDA_LAUNCH_BLOCKING",
                           "CUDA_MODULE_LOADING",
                           "CUDA_FORCE_PTX_JIT",
                           "CUDA_CACHE_DISABLE",
                           "CUDA_MPS_PIPE_DIRECTORY",
                           "CUBLAS_WORKSPACE_CONFIG",
                           "NVIDIA_VISIBLE_DEVICES",
                           "NVIDIA_DRIVER_CAPABILITIES",
                           "NVIDIA_REQUIRE_CUDA",
                           "NVIDIA_DISABLE_REQUIRE",
                           "NVIDIA_TF32_OVERRIDE",
                           "NCCL_DEBUG",
                           "NCCL_P2P_DISABLE",
                           "NCCL_SHM_DISABLE",
                           "NCCL_IB_DISABLE",
                           "NCCL_SOCKET_IFNAME",
                           "PYTORCH_ALLOC_CONF",
                           "PYTORCH_CUDA_ALLOC_CONF",
                           "PYTORCH_NO_CUDA_MEMORY_CACHING",
                           "OMP_NUM_THREADS",
                           "MKL_NUM_THREADS",
                           "LD_LIBRARY_PATH",
                           "LD_PRELOAD"}) {
    if (const char* value = std::getenv(name)) environment[name] = anonymous(value);
  }
  return environment;
}

}  // namespace trainyard
