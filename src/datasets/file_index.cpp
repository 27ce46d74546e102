#include "datasets/file_index.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <optional>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include "datasets/fingerprint.h"
#include "util/atomic_file.h"
#include "util/error.h"
#include "util/random.h"
#include "util/system.h"

namespace trainyard {
namespace {

constexpr std::string_view magic = "TYINDEX4";
constexpr std::int64_t racy_ns = 2'000'000'000;

class Encoder {
 public:
  void put(std::uint64_t value) { put_bytes(std::as_bytes(std::span(&value, 1))); }
  void put(std::string_view text) {
    put(text.size());
    put_bytes(std::as_bytes(std::span(text)));
  }
  void put_bytes(std::span<const std::byte> bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
  std::vector<std::byte>& bytes() { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

/// Reads the output of Encoder; throws if it is too short.
class Decoder {
 public:
  explicit Decoder(std::span<const std::byte> bytes) : rest_(bytes) {}

  std::span<const std::byte> take(std::uint64_t size) {
    if (size > rest_.size()) throw RunError("index", "ends too early");
    const auto result = rest_.first(size);
    rest_ = rest_.subspan(size);
    return result;
  }
  std::uint64_t number() {
    std::uint64_t value = 0;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  std::string text() {
    const auto bytes = take(number());
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  /// Reads a count of items of at least `size` bytes each, which the remaining bytes can hold.
  std::size_t count(std::size_t size) {
    const std::uint64_t value = number();
    if (value > rest_.size() / size) throw RunError("index", "claims {} entries, more than it has room for", value);
    return value;
  }
  bool at_end() const { return rest_.empty(); }

 private:
  std::span<const std::byte> rest_;
};

std::filesystem::path cache_folder() {
  const char* const xdg = std::getenv("XDG_CACHE_HOME");
  if (xdg != nullptr && *xdg != '\0') return std::filesystem::path(xdg) / "trainyard" / "index";
  const char* const home = std::getenv("HOME");
  if (home != nullptr && *home != '\0') return std::filesystem::path(home) / ".cache" / "trainyard" / "index";
  return {};
}

std::int64_t nanoseconds(const timespec& time) { return time.tv_sec * 1'000'000'000 + time.tv_nsec; }

// Returns the current state of the entries' files; nullopt if one of them cannot be queried. Entries are grouped by
// folder: each folder is opened once, so that the kernel does not resolve every path from the root.
std::optional<FileIndex::Files> files_now(const FileIndex& index) {
  FileIndex::Files files;
  UniqueFd folder;
  std::string_view opened;
  for (std::size_t i = 0; i < index.entries.size(); ++i) {
    const std::string_view name = index.name_of(i);
    const std::size_t base = name.rfind('/') + 1;  // 0 without a slash
    if (!folder || name.substr(0, base) != opened) {
      opened = name.substr(0, base);
      folder.reset(open(fmt::format("{}/{}", index.folder, opened).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
      if (!folder) return std::nullopt;
    }
    struct stat status{};
    if (fstatat(folder.get(), name.data() + base, &status, 0) != 0) return std::nullopt;
    files.add(status);
  }
  return files;
}

bool is_current(const FileIndex& index) {
  for (const FileIndex::Source& source : index.sources) {
    if (source_of(source.path) != source) return false;
  }
  return index.folder.empty() || files_now(index) == index.files;
}

void keep(const FileIndex& index, const std::string& key, std::int64_t began_ns, const std::filesystem::path& file) {
  if (index.files.newest_ns > began_ns - racy_ns) return;
  for (const FileIndex::Source& source : index.sources) {
    if (source.modified_ns > began_ns - racy_ns) return;
  }
  std::filesystem::create_directories(file.parent_path());
  const std::vector<std::byte> bytes = encode_index(index, key);
  write_file_atomically(file, [&](FileWriter& writer) { writer.write(bytes); });
}

}  // namespace

void FileIndex::add(const std::string& name, Entry entry) {
  entry.name = names.size();
  entries.push_back(entry);
  names.append(name.c_str(), name.size() + 1);
}

std::vector<std::uint64_t> FileIndex::class_counts() const {
  std::vector<std::uint64_t> counts(class_names.size());
  for (const Entry& entry : entries) ++counts[entry.label];
  return counts;
}

std::uint64_t FileIndex::fingerprint() const {
  std::uint64_t key = trainyard::fingerprint(key_of("file index"), std::as_bytes(std::span(names)));
  for (const std::string& name : class_names) key = key_of({key, key_of(name)});
  return trainyard::fingerprint(key, std::as_bytes(std::span(entries)));
}

FileIndex::Source source_of(const std::string& path) {
  struct stat status{};
  if (stat(path.c_str(), &status) != 0) return {.path = path};
  return {.path = path,
          .modified_ns = nanoseconds(status.st_mtim),
          .size = S_ISREG(status.st_mode) ? static_cast<std::uint64_t>(status.st_size) : 0,
          .changed_ns = nanoseconds(status.st_ctim),
          .inode = status.st_ino};
}

void FileIndex::Files::add(const struct stat& status) {
  const std::int64_t modified_ns = nanoseconds(status.st_mtim);
  newest_ns = std::max(newest_ns, modified_ns);
  key = key_of({key, static_cast<std::uint64_t>(modified_ns), static_cast<std::uint64_t>(nanoseconds(status.st_ctim)),
                static_cast<std::uint64_t>(status.st_size), status.st_ino});
}

std::vector<std::byte> encode_index(const FileIndex& index, const std::string& key) {
  Encoder content;
  content.put(key);
  content.put(index.sources.size());
  for (const FileIndex::Source& source : index.sources) {
    content.put(source.path);
    content.put(static_cast<std::uint64_t>(source.modified_ns));
    content.put(source.size);
    content.put(static_cast<std::uint64_t>(source.changed_ns));
    content.put(source.inode);
  }
  content.put(index.folder);
  content.put(index.files.key);
  content.put(static_cast<std::uint64_t>(index.files.newest_ns));
  content.put(index.class_names.size());
  for (const std::string& name : index.class_names) content.put(name);
  content.put(index.left_out.size());
  for (const LeftOut& one : index.left_out) {
    content.put(one.reason);
    content.put(one.count);
    content.put(one.first.size());
    for (const std::string& name : one.first) content.put(name);
  }
  content.put(index.names);
  content.put(index.entries.size());
  content.put_bytes(std::as_bytes(std::span(index.entries)));

  Encoder file;
  file.put_bytes(std::as_bytes(std::span(magic)));
  file.put(crc32_of(content.bytes()));
  file.put_bytes(content.bytes());
  return std::move(file.bytes());
}

FileIndex decode_index(std::span<const std::byte> file, const std::string& key) {
  Decoder whole(file);
  if (std::memcmp(whole.take(magic.size()).data(), magic.data(), magic.size()) != 0) {
    throw RunError("index", "does not begin with {}", magic);
  }
  const std::uint64_t checksum = whole.number();
  if (crc32_of(file.subspan(magic.size() + sizeof checksum)) != checksum) throw RunError("index", "wrong checksum");

  Decoder content(file.subspan(magic.size() + sizeof checksum));
  if (content.text() != key) throw RunError("index", "belongs to something else");
  FileIndex index;
  for (std::size_t left = content.count(40); left > 0; --left) {
    FileIndex::Source source;
    source.path = content.text();
    source.modified_ns = static_cast<std::int64_t>(content.number());
    source.size = content.number();
    source.changed_ns = static_cast<std::int64_t>(content.number());
    source.inode = content.number();
    index.sources.push_back(std::move(source));
  }
  index.folder = content.text();
  index.files.key = content.number();
  index.files.newest_ns = static_cast<std::int64_t>(content.number());
  for (std::size_t left = content.count(8); left > 0; --left) index.class_names.push_back(content.text());
  for (std::size_t left = content.count(24); left > 0; --left) {
    LeftOut& one = index.left_out.emplace_back();
    one.reason = content.text();
    one.count = content.number();
    for (std::size_t named = content.count(8); named > 0; --named) one.first.push_back(content.text());
  }
  index.names = content.text();
  index.entries.resize(content.count(sizeof(FileIndex::Entry)));
  const auto entries = content.take(index.entries.size() * sizeof(FileIndex::Entry));
  if (!entries.empty()) std::memcpy(index.entries.data(), entries.data(), entries.size());
  for (const FileIndex::Entry& entry : index.entries) {
    if (entry.name >= index.names.size() || entry.label >= index.class_names.size() ||
        entry.file >= index.sources.size()) {
      throw RunError("index", "an entry points outside of it");
    }
  }
  if (!content.at_end()) throw RunError("index", "there is more behind its end");
  return index;
}

FileIndex cached_index(const std::string& key, const std::function<FileIndex()>& make) {
  const std::filesystem::path folder = cache_folder();
  const std::filesystem::path file = folder / fmt::format("{:016x}", key_of(key));
  std::error_code ignored;
  if (!folder.empty() && std::filesystem::is_regular_file(file, ignored)) {
    try {
      const std::string bytes = read_text_file(file.string(), "index");
      FileIndex index = decode_index(std::as_bytes(std::span(bytes)), key);
      if (is_current(index)) return index;
    } catch (const RunError&) {
      // Damaged, of another data set, or a source is gone: rebuild the index, which reports any error.
    }
  }
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  FileIndex index = make();
  try {
    if (!folder.empty()) keep(index, key, now.tv_sec * 1'000'000'000 + now.tv_nsec, file);
  } catch (const std::exception&) {
    // Failing to write the cache must not prevent training.
  }
  return index;
}

}  // namespace trainyard
