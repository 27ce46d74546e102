// A disk that fails on demand, preloaded into a program under test (LD_PRELOAD). It intercepts calls to the C library
// for all paths below the folder TRAINYARD_FAULT_ROOT. TRAINYARD_FAULT selects the fault as kind:n, where n counts the
// calls to write, fsync, rename, renameat2 and symlink below the root, from 1:
//
//   kill:n        SIGKILL instead of call n
//   power_cut:n   like kill, and unflushed data is lost: bytes written after a file's last fsync, and names created,
//                 renamed or exchanged after their folder's last fsync
//   enospc:n      from call n on, the first two writes fail: no space left on the device
//   eio:n         from call n on, the first two writes or fsyncs fail: input/output error
//   quota:n       from call n on, every write fails: disk quota exceeded
//   short:0       every write writes only half of its bytes
//
// TRAINYARD_REFUSE lists what the file system does not support, separated by spaces: symlink, fsync_folder, flock,
// renameat2, fallocate.
//
// Removals take effect at once: a program may not rely on losing one.

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include <dlfcn.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace {

namespace fs = std::filesystem;

template <typename Function>
Function* real(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

struct NameChange {
  std::string folder;
  std::function<void()> undo;
};

// Records what a power cut takes away. One lock for everything is enough for a small program.
class Disk {
 public:
  static Disk& instance() {
    static Disk* disk = new Disk;  // never destroyed: the program may write until it exits
    return *disk;
  }

  bool covers(const std::string& path) const { return !root_.empty() && path.starts_with(root_); }
  // Folders whose entries are recorded: those below the root, and the root's parent.
  bool covers_folder(const std::string& path) const {
    return covers(path + "/") || (!root_.empty() && fs::path(root_).parent_path() == path);
  }

  // Counts a call. Returns true and sets errno if it must fail.
  bool call_fails(bool is_write, bool is_fsync) {
    const long number = ++calls_;
    if (number == first_ && (kind_ == "kill" || kind_ == "power_cut")) {
      if (kind_ == "power_cut") lose_what_is_not_flushed();
      ::kill(getpid(), SIGKILL);
      for (;;) pause();
    }
    if (number < first_) return false;
    if (kind_ == "quota") {
      errno = EDQUOT;
      return is_write;
    }
    if (kind_ == "enospc" && is_write)
      errno = ENOSPC;
    else if (kind_ == "eio" && (is_write || is_fsync))
      errno = EIO;
    else
      return false;
    return failures_++ < 2;
  }
  bool writes_are_short() const { return kind_ == "short"; }
  // Sets errno if it refuses.
  bool refuses(const std::string& what, int error) const {
    if (refused_.find(what) == std::string::npos) return false;
    errno = error;
    return true;
  }

  void opened(const std::string& path, bool is_new) {
    const std::lock_guard lock(mutex_);
    std::error_code error;
    if (is_new) {
      flushed_[path] = 0;
    } else {
      flushed_.try_emplace(path, fs::file_size(path, error));
    }
    if (is_new) changed(path, [path] { fs::remove(path); });
  }
  void flushed(const std::string& path) {
    const std::lock_guard lock(mutex_);
    std::error_code error;
    if (fs::is_directory(path, error)) {
      std::erase_if(changes_, [&](const NameChange& change) { return change.folder == path; });
    } else if (flushed_.contains(path)) {
      flushed_[path] = fs::file_size(path, error);
    }
  }
  void made(const std::string& path) {
    const std::lock_guard lock(mutex_);
    changed(path, [path] { fs::remove_all(path); });
  }

  // Call before a rename: returns a function that undoes it. Keeps a copy of a small file or link that is replaced.
  std::function<void()> undo_of_rename(const std::string& from, const std::string& to) {
    std::error_code error;
    if (fs::is_symlink(to, error)) {
      return [from, to, target = fs::read_symlink(to)] {
        fs::rename(to, from);
        fs::create_symlink(target, to);
      };
    }
    if (fs::is_regular_file(to, error)) {
      std::string content(fs::file_size(to), '\0');
      const int fd = open(to.c_str(), O_RDONLY | O_CLOEXEC);
      if (read(fd, content.data(), content.size()) < 0) content.clear();
      close(fd);
      return [from, to, content] {
        fs::rename(to, from);
        std::FILE* file = std::fopen(to.c_str(), "wb");
        std::fwrite(content.data(), 1, content.size(), file);
        std::fclose(file);
      };
    }
    return [from, to] { fs::rename(to, from); };
  }
  void renamed(const std::string& from, const std::string& to, std::function<void()> undo) {
    const std::lock_guard lock(mutex_);
    std::map<std::string, std::uintmax_t> moved;
    for (const auto& [path, size] : flushed_) {
      const bool inside = path == from || path.starts_with(from + "/");
      moved[inside ? to + path.substr(from.size()) : path] = size;
    }
    flushed_ = std::move(moved);
    changed(to, std::move(undo));
  }

 private:
  Disk() {
    if (const char* root = std::getenv("TRAINYARD_FAULT_ROOT")) root_ = root;
    if (const char* refused = std::getenv("TRAINYARD_REFUSE")) refused_ = refused;
    const char* fault = std::getenv("TRAINYARD_FAULT");
    if (fault == nullptr || std::strchr(fault, ':') == nullptr) return;
    kind_.assign(fault, std::strchr(fault, ':'));
    first_ = std::atol(std::strchr(fault, ':') + 1);
  }

  void changed(const std::string& path, std::function<void()> undo) {
    changes_.push_back({fs::path(path).parent_path().string(), std::move(undo)});
  }

  void lose_what_is_not_flushed() {
    const std::lock_guard lock(mutex_);
    root_.clear();  // from here on calls are not intercepted
    for (const auto& [path, size] : flushed_) {
      std::error_code error;
      if (fs::is_regular_file(path, error) && fs::file_size(path, error) > size) fs::resize_file(path, size, error);
    }
    for (auto change = changes_.rbegin(); change != changes_.rend(); ++change) {
      try {
        change->undo();
      } catch (const fs::filesystem_error&) {  // the program has removed it
      }
    }
  }

  std::string root_;
  std::string refused_;
  std::string kind_;
  long first_ = 0;
  std::atomic<long> calls_ = 0;
  std::atomic<long> failures_ = 0;
  std::mutex mutex_;
  std::map<std::string, std::uintmax_t> flushed_;  // by file opened for writing: the size after a power cut
  std::vector<NameChange> changes_;                // oldest first
};

std::string absolute(const char* path) { return fs::absolute(path).lexically_normal().string(); }

std::string path_of(int fd) {
  char target[4096];
  const ssize_t length = readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), target, sizeof target);
  return length > 0 ? std::string(target, static_cast<std::size_t>(length)) : std::string();
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  static auto* const next = real<int(const char*, int, ...)>("open");
  const bool writes = (flags & O_ACCMODE) != O_RDONLY;
  if (!writes || !Disk::instance().covers(absolute(path))) return next(path, flags, mode);
  struct stat status{};
  const bool is_new = stat(path, &status) == -1;
  const int fd = next(path, flags, mode);
  if (fd >= 0) Disk::instance().opened(absolute(path), is_new || (flags & O_TRUNC) != 0);
  return fd;
}

ssize_t write(int fd, const void* bytes, size_t count) {
  static auto* const next = real<ssize_t(int, const void*, size_t)>("write");
  if (fd <= 2 || !Disk::instance().covers(path_of(fd))) return next(fd, bytes, count);
  if (Disk::instance().call_fails(/*is_write=*/true, /*is_fsync=*/false)) return -1;
  if (Disk::instance().writes_are_short()) count = std::max<size_t>(count / 2, std::min<size_t>(count, 1));
  return next(fd, bytes, count);
}

int fsync(int fd) {
  static auto* const next = real<int(int)>("fsync");
  const std::string path = path_of(fd);
  if (!Disk::instance().covers_folder(path)) return next(fd);
  if (fs::is_directory(path) && Disk::instance().refuses("fsync_folder", EINVAL)) return -1;
  if (Disk::instance().call_fails(/*is_write=*/false, /*is_fsync=*/true)) return -1;
  const int result = next(fd);
  if (result == 0) Disk::instance().flushed(path);
  return result;
}

int rename(const char* from, const char* to) noexcept {
  static auto* const next = real<int(const char*, const char*)>("rename");
  Disk& disk = Disk::instance();
  if (!disk.covers(absolute(to))) return next(from, to);
  if (disk.call_fails(/*is_write=*/false, /*is_fsync=*/false)) return -1;
  auto undo = disk.undo_of_rename(absolute(from), absolute(to));
  const int result = next(from, to);
  if (result == 0) disk.renamed(absolute(from), absolute(to), std::move(undo));
  return result;
}

int renameat2(int from_folder, const char* from, int to_folder, const char* to, unsigned flags) noexcept {
  static auto* const next = real<int(int, const char*, int, const char*, unsigned)>("renameat2");
  Disk& disk = Disk::instance();
  if (flags != RENAME_EXCHANGE || !disk.covers(absolute(to))) return next(from_folder, from, to_folder, to, flags);
  if (disk.refuses("renameat2", EINVAL)) return -1;
  if (disk.call_fails(/*is_write=*/false, /*is_fsync=*/false)) return -1;
  const int result = next(from_folder, from, to_folder, to, flags);
  if (result == 0) {
    disk.renamed(absolute(from), absolute(to), [a = absolute(from), b = absolute(to)] {
      next(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE);
    });
  }
  return result;
}

int symlink(const char* target, const char* path) noexcept {
  static auto* const next = real<int(const char*, const char*)>("symlink");
  Disk& disk = Disk::instance();
  if (!disk.covers(absolute(path))) return next(target, path);
  if (disk.refuses("symlink", EPERM)) return -1;
  if (disk.call_fails(/*is_write=*/false, /*is_fsync=*/false)) return -1;
  const int result = next(target, path);
  if (result == 0) disk.made(absolute(path));
  return result;
}

int flock(int fd, int operation) noexcept {
  static auto* const next = real<int(int, int)>("flock");
  if (Disk::instance().covers_folder(path_of(fd)) && Disk::instance().refuses("flock", ENOLCK)) return -1;
  return next(fd, operation);
}

int fallocate(int fd, int mode, off_t offset, off_t length) {
  static auto* const next = real<int(int, int, off_t, off_t)>("fallocate");
  if (Disk::instance().covers(path_of(fd)) && Disk::instance().refuses("fallocate", EOPNOTSUPP)) return -1;
  return next(fd, mode, offset, length);
}

int mkdir(const char* path, mode_t mode) noexcept {
  static auto* const next = real<int(const char*, mode_t)>("mkdir");
  const int result = next(path, mode);
  if (result == 0 && Disk::instance().covers(absolute(path))) Disk::instance().made(absolute(path));
  return result;
}

}  // extern "C"
