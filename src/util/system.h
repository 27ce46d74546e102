/// Wraps system calls: every call that can fail goes through `check_call`, and every descriptor and mapping has an
/// owner.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <sys/types.h>

namespace trainyard {

/// Throws RunError `[where] call (subject): strerror(error); hint`. `hint` may be empty.
[[noreturn]] void throw_system_error(std::string_view where, std::string_view call, std::string_view subject, int error,
                                     std::string_view hint = "");

/// Returns `result` unless it is -1; then throws an error with errno. Usage: `UniqueFd fd(check_call(open(path,
/// O_RDONLY | O_CLOEXEC), "datasets", "open", path));`
template <typename Result>
Result check_call(Result result, std::string_view where, std::string_view call, std::string_view subject,
                  std::string_view hint = "") {
  if (result == static_cast<Result>(-1)) throw_system_error(where, call, subject, errno, hint);
  return result;
}

/// Repeats a call for as long as a signal interrupts it: `retry_on_eintr([&] { return read(fd, p, n); })`.
template <typename Call>
auto retry_on_eintr(Call call) {
  decltype(call()) result;
  do {
    result = call();
  } while (result == -1 && errno == EINTR);
  return result;
}

/// Owns a file descriptor; closes it when destroyed. Movable, not copyable. -1 means none.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) reset(std::exchange(other.fd_, -1));
    return *this;
  }
  ~UniqueFd() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1) noexcept;

 private:
  int fd_ = -1;
};

/// Returns the size of an open file in bytes. Throws RunError naming its kind if it is not a regular file.
std::uint64_t regular_file_size(int fd, std::string_view where, std::string_view subject);

/// Opens a regular file without blocking, with `flags` of open(2), e.g. O_WRONLY | O_APPEND. Anything else (a folder, a
/// named pipe, a device) is refused, naming its kind. Throws RunError.
UniqueFd open_regular_file(const std::string& path, std::string_view where, int flags = O_RDONLY);

/// Owns a memory mapping; unmaps it when destroyed. Movable, not copyable.
class Mapping {
 public:
  Mapping() = default;
  Mapping(void* address, std::size_t size) : address_(address), size_(size) {}
  Mapping(Mapping&& other) noexcept
      : address_(std::exchange(other.address_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Mapping& operator=(Mapping&& other) noexcept {
    std::swap(address_, other.address_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Mapping();

  /// Maps a whole file read-only. Throws RunError; an empty file maps to an empty span.
  static Mapping read_only_file(const std::string& path, std::string_view where);

  /// Maps all of an open file as MAP_SHARED, readable and writable. Throws RunError.
  static Mapping shared(int fd, std::string_view where, std::string_view subject);

  /// Reserves `size` bytes of address space; they are inaccessible until put() maps something there. Throws RunError.
  static Mapping addresses(std::size_t size, std::string_view where);

  /// Maps bytes of an open file, as shared() does, at offset `begin` of this mapping; page-aligned. Throws RunError.
  void put(std::size_t begin, std::size_t bytes, int fd, std::size_t offset, std::string_view where);

  /// Allocates `size` bytes of zeroed memory shared with processes forked from here on. Throws RunError.
  static Mapping anonymous(std::size_t size, std::string_view where);

  /// Allocates `size` bytes of zeroed memory that processes forked from here on will read. Uses huge pages if the
  /// kernel provides them, so that a fork has few page tables to copy. Memory is allocated as it is written. Throws
  /// RunError.
  static Mapping copied_on_write(std::size_t size, std::string_view where);

  std::span<std::byte> bytes() const { return {static_cast<std::byte*>(address_), size_}; }

 private:
  void* address_ = nullptr;
  std::size_t size_ = 0;
};

/// Populates the page tables of `bytes`, which are writable, at once, so that writing does not fault on each page.
/// Returns false if the kernel does not support this (before Linux 5.14) or lacks the memory; then some pages may be
/// missing.
bool map_pages(std::span<std::byte> bytes) noexcept;

/// Reads from byte `offset` of an open file until `bytes` is full or the file ends, retrying after short reads and
/// interruptions; returns the number of bytes read. Safe from many threads and processes at once. Throws RunError
/// naming `subject`.
std::size_t read_at(int fd, std::span<std::byte> bytes, std::uint64_t offset, std::string_view where,
                    std::string_view subject);

/// Writes all of `bytes`, retrying after short writes and interruptions. Throws RunError naming `subject`.
void write_all(int fd, std::span<const std::byte> bytes, std::string_view where, std::string_view subject);

/// Reads a whole regular file into a string. Throws RunError for anything else and for a file larger than `most` bytes.
std::string read_text_file(const std::string& path, std::string_view where, std::size_t most = std::size_t{1} << 30);

/// Returns the number of processors this process may use: the minimum of its affinity mask and its cgroup's quota
/// (rounded up), at least 1.
int usable_cores();

/// Returns how many processes of this cgroup the kernel's out-of-memory killer has killed so far; 0 if unreadable.
std::uint64_t out_of_memory_kills();

}  // namespace trainyard
