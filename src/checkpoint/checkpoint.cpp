#include "checkpoint/checkpoint.h"

#include <cstdio>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/error.h"
#include "util/file_system.h"

namespace trainyard {
namespace fs = std::filesystem;
namespace {

constexpr const char* where = "checkpoint";

// A folder that goes away with all that is in it; after it was renamed to its place there is nothing left to remove.
class TemporaryFolder {
 public:
  explicit TemporaryFolder(fs::path path) : path_(std::move(path)) {
    remove();  // left over by a dead process of the same number
    check_call(mkdir(path_.c_str(), 0777), where, "mkdir", path_.string());
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() { remove(); }

  const fs::path& path() const { return path_; }

 private:
  void remove() const {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }

  fs::path path_;
};

// Slightly more than the files will take: data, header entries, blocks not filled.
std::uint64_t bytes_needed(const Checkpoint& contents) {
  std::uint64_t bytes = 64 * 1024 + contents.manifest.config.size();
  for (const std::string& name : contents.manifest.class_names) bytes += 2 * name.size() + 8;
  for (const NamedTensors* tensors : {&contents.model, &contents.ema, &contents.state}) {
    for (const auto& [name, tensor] : *tensors) bytes += 256 + name.size() + (tensor.defined() ? tensor.nbytes() : 0);
  }
  return bytes;
}

void check_space(const fs::path& checkpoints, const Checkpoint& contents) {
  const std::uint64_t needed = bytes_needed(contents);
  const std::uint64_t available = free_bytes(checkpoints, where);
  if (available < needed) {
    throw RunError(where, "{}: step {} needs {} bytes, the disk has {} free; earlier checkpoints are whole; make room",
                   checkpoints.string(), contents.manifest.step, needed, available);
  }
}

// Renames a folder to its place. One that is there already changes places with it, in one step where the file system
// can; elsewhere it is moved away first.
void commit(const fs::path& temporary, const fs::path& place) {
  if (std::rename(temporary.c_str(), place.c_str()) == 0) return;
  if (errno != ENOTEMPTY && errno != EEXIST) throw_system_error(where, "rename", place.string(), errno);
  if (renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, place.c_str(), RENAME_EXCHANGE) == 0) return;
  if (errno != EINVAL) throw_system_error(where, "exchange", place.string(), errno);
  const TemporaryFolder aside(temporary.string() + "-replaced");
  check_call(std::rename(place.c_str(), aside.path().c_str()), where, "rename", place.string());
  check_call(std::rename(temporary.c_str(), place.c_str()), where, "rename", place.string());
}

}  // namespace

fs::path write_checkpoint(const fs::path& checkpoints, const Checkpoint& contents) {
  make_folders(checkpoints);
  check_space(checkpoints, contents);
  const std::string name = step_folder_name(contents.manifest.step);
  const TemporaryFolder temporary(checkpoints / fmt::format(".tmp-{}-{}", name, getpid()));

  Manifest manifest = contents.manifest;
  manifest.trainyard_version = TRAINYARD_VERSION;
  manifest.files = {{Manifest::model_file, save_safetensors(temporary.path() / Manifest::model_file, contents.model)},
                    {Manifest::state_file, save_safetensors(temporary.path() / Manifest::state_file, contents.state)}};
  if (!contents.ema.empty())
    manifest.files[Manifest::ema_file] = save_safetensors(temporary.path() / Manifest::ema_file, contents.ema);
  write_file_atomically(temporary.path() / Manifest::file_name,
                        [&](FileWriter& file) { file.write(to_json(manifest)); });

  commit(temporary.path(), checkpoints / name);
  fsync_directory(checkpoints);
  return checkpoints / name;
}

Checkpoint read_checkpoint(const fs::path& folder) {
  Checkpoint contents{.manifest = read_manifest(folder), .model = {}, .ema = {}, .state = {}};
  const auto load = [&](const char* name) {
    const Mapping mapping = map_verified(folder, name, contents.manifest.files.at(name));
    return parse_safetensors(mapping.bytes(), (folder / name).string());
  };
  contents.model = load(Manifest::model_file);
  contents.state = load(Manifest::state_file);
  if (contents.manifest.files.contains(Manifest::ema_file)) contents.ema = load(Manifest::ema_file);
  return contents;
}

}  // namespace trainyard
