#include "util/atomic_file.h"

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstring>
#include <mutex>
#include <string>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "util/log.h"

namespace trainyard {
namespace {

constexpr const char* where = "file";
constexpr std::size_t chunk_bytes = std::size_t{8} << 20;

// The names of temporary files; the id of the process follows.
std::string temporary_prefix(const std::filesystem::path& path) {
  return fmt::format(".tmp-{}-", path.filename().string());
}

bool is_id_of_dead_process(std::string_view text) {
  pid_t pid = 0;
  const char* const end = text.data() + text.size();
  const auto [reached, error] = std::from_chars(text.data(), end, pid);
  return error == std::errc() && reached == end && pid > 0 && kill(pid, 0) == -1 && errno == ESRCH;
}

// Returns a hidden path in the same folder, unique to this process. A file left there by a dead process with the same
// id is removed.
std::filesystem::path fresh_temporary(const std::filesystem::path& path) {
  auto temporary = path.parent_path() / fmt::format("{}{}", temporary_prefix(path), getpid());
  if (unlink(temporary.c_str()) == -1 && errno != ENOENT) {
    throw_system_error(where, "write", path.string(), errno);
  }
  return temporary;
}

void rename_durably(const std::filesystem::path& from, const std::filesystem::path& to) {
  check_call(rename(from.c_str(), to.c_str()), where, "rename", to.string());
  fsync_directory(to.parent_path());
}

// The errors of virtiofs and of some FUSE and network file systems for fsync of a folder.
bool means_unsupported(int error) {
  return error == EINVAL || error == EOPNOTSUPP || error == ENOSYS || error == EBADF;
}

// Removes the temporary file of an operation that did not complete.
class TemporaryGuard {
 public:
  explicit TemporaryGuard(const std::filesystem::path& path) : path_(path) {}
  TemporaryGuard(const TemporaryGuard&) = delete;
  TemporaryGuard& operator=(const TemporaryGuard&) = delete;
  ~TemporaryGuard() { unlink(path_.c_str()); }  // already renamed on success

 private:
  const std::filesystem::path& path_;
};

}  // namespace

std::uint32_t crc32_of(std::span<const std::byte> bytes, std::uint32_t so_far) {
  if (bytes.empty()) return so_far;  // for a null pointer zlib would begin anew
  return static_cast<std::uint32_t>(crc32_z(so_far, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

FileWriter::FileWriter(const std::filesystem::path& path, const std::filesystem::path& shown)
    : path_(shown.empty() ? path : shown),
      fd_(check_call(retry_on_eintr([&] { return open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666); }),
                     where, "create", path_.string())) {}

void FileWriter::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const auto chunk = bytes.first(std::min(bytes.size(), chunk_bytes));
    write_all(fd_.get(), chunk, where, path_.string());
    // The disk writes this chunk while the checksum of the next is computed; fsync reports a failure.
    sync_file_range(fd_.get(), static_cast<off_t>(sum_.bytes), static_cast<off_t>(chunk.size()), SYNC_FILE_RANGE_WRITE);
    sum_ = {sum_.bytes + chunk.size(), crc32_of(chunk, sum_.crc32)};
    bytes = bytes.subspan(chunk.size());
  }
}

FileDigest FileWriter::finish() {
  check_call(retry_on_eintr([&] { return fsync(fd_.get()); }), where, "fsync", path_.string());
  check_call(close(fd_.release()), where, "close", path_.string());
  return sum_;
}

FileDigest write_file_atomically(const std::filesystem::path& path, const std::function<void(FileWriter&)>& fill) {
  const auto temporary = fresh_temporary(path);
  const TemporaryGuard guard(temporary);
  FileWriter file(temporary, path);
  fill(file);
  const FileDigest sum = file.finish();
  rename_durably(temporary, path);
  return sum;
}

void remove_leftovers(const std::filesystem::path& path) {
  const std::string prefix = temporary_prefix(path);
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
  std::error_code error;  // what cannot be listed or removed may stay
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (name.starts_with(prefix) && is_id_of_dead_process(std::string_view(name).substr(prefix.size()))) {
      unlink(entry->path().c_str());
    }
  }
}

void replace_link_atomically(const std::filesystem::path& link, const std::filesystem::path& target) {
  const auto temporary = fresh_temporary(link);
  const TemporaryGuard guard(temporary);
  check_call(symlink(target.c_str(), temporary.c_str()), where, "symlink", temporary.string());
  rename_durably(temporary, link);
}

void make_folders(const std::filesystem::path& folder) {
  std::error_code error;
  if (folder.empty() || std::filesystem::is_directory(folder, error)) return;
  make_folders(folder.parent_path());
  const bool made = std::filesystem::create_directory(folder, error);
  if (error) {
    const bool is_file = error == std::errc::file_exists;
    throw_system_error(where, "create folder", folder.string(), error.value(),
                       is_file ? "a file is in its place: move it, or choose another path" : "");
  }
  if (made) fsync_directory(folder.parent_path());
}

void fsync_directory(const std::filesystem::path& folder) {
  const std::string name = folder.empty() ? "." : folder.string();
  const UniqueFd fd(check_call(open(name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC), where, "open folder", name));
  if (retry_on_eintr([&] { return fsync(fd.get()); }) == 0) return;
  if (!means_unsupported(errno)) throw_system_error(where, "fsync folder", name, errno);
  static std::once_flag said;
  std::call_once(said, [&, error = errno] {
    log_warning("[file] {}: this file system flushes no folders ({}); if the power fails, the newest files may be lost",
                name, std::strerror(error));
  });
}

}  // namespace trainyard
