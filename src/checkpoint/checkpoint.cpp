#include "checkpoint/checkpoint.h"

#include <cstdio>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpoint/temporary_folder.h"
#include "util/file_system.h"
#include "util/system_error.h"

namespace trainyard {
namespace fs = std::filesystem;
namespace {

constexpr const char* where = "checkpoint";

void check_space(const fs::path& checkpoints, const Checkpoint& contents) {
  const std::uint64_t needed = bytes_of(contents);
  const std::optional<FileSystemSpace> space = space_at(checkpoints.string());
  if (!space) throw_system_error(where, "statfs", checkpoints.string(), errno);
  if (space->size > 0 && space->free < needed) {  // some FUSE file systems do not report their size
    throw SystemError(ENOSPC, where,
                      fmt::format("{}: step {} needs {} bytes, the disk has {} free; make room", checkpoints.string(),
                                  contents.manifest.step, needed, space->free));
  }
}

// Creates only this folder: if the run's folder is gone, half of a run must not reappear.
void make_folder(const fs::path& checkpoints) {
  if (mkdir(checkpoints.c_str(), 0777) == 0) return fsync_directory(checkpoints.parent_path());
  if (errno != EEXIST) throw_system_error(where, "mkdir", checkpoints.string(), errno);
}

// Renames a folder to its final path. An existing folder is exchanged with it atomically if the file system supports
// that; otherwise it is moved away first, and back if the rename fails.
void commit(const fs::path& temporary, const fs::path& place) {
  if (std::rename(temporary.c_str(), place.c_str()) == 0) return;
  const int error = errno;
  std::error_code ignored;
  if (!fs::exists(place, ignored)) throw_system_error(where, "rename", place.string(), error);
  if (renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, place.c_str(), RENAME_EXCHANGE) == 0) return;
  const TemporaryFolder aside(temporary.string() + "-replaced");
  check_call(std::rename(place.c_str(), aside.path().c_str()), where, "rename", place.string());
  if (std::rename(temporary.c_str(), place.c_str()) == 0) return;
  const int last_error = errno;
  std::rename(aside.path().c_str(), place.c_str());
  throw_system_error(where, "rename", place.string(), last_error);
}

}  // namespace

std::uint64_t bytes_of(const NamedTensors& tensors) {
  std::uint64_t bytes = 0;
  for (const auto& [name, tensor] : tensors) bytes += 256 + name.size() + (tensor.defined() ? tensor.nbytes() : 0);
  return bytes;
}

std::uint64_t bytes_of(const Checkpoint& contents) {
  std::uint64_t bytes = std::uint64_t{64} * 1024 + contents.manifest.config.size();
  for (const std::string& name : contents.manifest.class_names) bytes += 2 * name.size() + 8;
  return bytes + bytes_of(contents.model) + bytes_of(contents.ema) + bytes_of(contents.state);
}

fs::path write_checkpoint(const fs::path& checkpoints, const Checkpoint& contents) {
  make_folder(checkpoints);
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
