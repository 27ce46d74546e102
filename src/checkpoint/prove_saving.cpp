#include "checkpoint/prove_saving.h"

#include <algorithm>
#include <chrono>

#include <fcntl.h>
#include <unistd.h>

#include <ATen/ops/zeros.h>

#include "checkpoint/checkpoint_writer.h"
#include "checkpoint/temporary_folder.h"
#include "util/file_system.h"
#include "util/folder_lock.h"
#include "util/size_text.h"
#include "util/system_error.h"

namespace trainyard {
namespace fs = std::filesystem;
namespace {

constexpr const char* where = "checkpoint";
constexpr std::string_view scratch_prefix = ".tmp-proof-";

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(fs::symlink_status(path, ignored));  // a dangling link counts: nothing can be created in its place
}

// Removes what a process that was killed in its proof left behind; a proof takes seconds.
void remove_old_scratch(const fs::path& folder) {
  std::error_code ignored;
  const auto hour_ago = fs::file_time_type::clock::now() - std::chrono::hours(1);
  for (fs::directory_iterator entry(folder, ignored), end; !ignored && entry != end; entry.increment(ignored)) {
    std::error_code error;
    if (!entry->path().filename().string().starts_with(scratch_prefix)) continue;
    if (entry->last_write_time(error) < hour_ago && !error) fs::remove_all(entry->path(), error);
  }
}

// The same names and types, with one element each.
NamedTensors small(const NamedTensors& tensors) {
  NamedTensors result;
  for (const auto& [name, tensor] : tensors) {
    result.emplace_back(name, tensor.defined() ? at::zeros({1}, tensor.scalar_type()) : tensor);
  }
  return result;
}

std::uint64_t bytes_in(const fs::path& checkpoints) {
  std::uint64_t bytes = 0;
  for (const fs::path& folder : step_folders(checkpoints)) {
    std::error_code error;
    for (fs::directory_iterator file(folder, error), end; !error && file != end; file.increment(error)) {
      std::error_code ignored;  // a damaged checkpoint may hold anything
      if (file->is_regular_file(ignored)) bytes += file->file_size(ignored);
    }
  }
  return bytes;
}

SavingProof require_space(const fs::path& checkpoints, const fs::path& anchor, const Checkpoint& contents,
                          const CheckpointConfig& config, std::int64_t saves) {
  const std::int64_t kept = std::int64_t{config.keep} + (config.keep_best ? 1 : 0);
  const std::int64_t most =
      std::max<std::int64_t>(1, std::min(saves, kept + 1));  // those kept, and the one being written
  const std::optional<FileSystemSpace> space = space_at(anchor.string());
  if (!space) throw_system_error(where, "statfs", anchor.string(), errno);
  SavingProof proof{.checkpoint = bytes_of(contents), .at_once = 0, .free = space->free};
  proof.at_once = static_cast<std::uint64_t>(most) * proof.checkpoint;
  if (space->size == 0) return proof;  // some FUSE file systems do not report it
  const std::uint64_t there = bytes_in(checkpoints);
  const std::uint64_t needed = std::max(proof.checkpoint, proof.at_once > there ? proof.at_once - there : 0);
  if (proof.free >= needed) return proof;
  throw MachineError(
      where,
      "{}: a checkpoint takes {} and {} of them lie there at once: {} are needed, {} are free; make room, "
      "choose another run.dir{}",
      checkpoints.string(), size_text(proof.checkpoint), most, size_text(needed), size_text(proof.free),
      most > 1 && proof.free >= proof.checkpoint ? ", or lower checkpoint.keep" : "");
}

// Only this detects quotas and limits on file size. A file system without reservation reports that immediately.
void reserve(const fs::path& path, std::uint64_t bytes) {
  const UniqueFd fd(
      check_call(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666), where, "create", path.string()));
  if (retry_on_eintr([&] { return fallocate(fd.get(), 0, 0, static_cast<off_t>(bytes)); }) == 0) return;
  if (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL) return;
  throw_system_error(where, fmt::format("reserve {}", size_text(bytes)), path.string(), errno);
}

// A copy that follows links has folders in place of `last` and `best`, which no link can replace.
void require_no_folder_as_link(const fs::path& checkpoints, const CheckpointConfig& config) {
  for (const char* const name : {"last", "best"}) {
    std::error_code ignored;
    if (!fs::is_directory(fs::symlink_status(checkpoints / name, ignored))) continue;
    if (name == std::string_view("last") || config.keep_best) {
      throw RunError(where, "{} is a folder, not a link to one; remove it, or rename it to step-… if none is like it",
                     name);
    }
  }
}

void save_and_read_back(const fs::path& checkpoints, const Checkpoint& contents, const CheckpointConfig& config) {
  make_folders(checkpoints.parent_path());
  const std::optional<UniqueFd> lock = try_to_lock(checkpoints.parent_path());
  const Checkpoint example{.manifest = contents.manifest,
                           .model = small(contents.model),
                           .ema = small(contents.ema),
                           .state = small(contents.state)};
  // The second one replaces the first.
  for (int i = 0; i < 2; ++i) save_checkpoint(checkpoints, example, /*best=*/true, config);
  read_checkpoint(resolve_checkpoint(checkpoints));
  reserve(checkpoints / Manifest::model_file, bytes_of(contents.model));
  reserve(checkpoints / Manifest::state_file, bytes_of(contents.state));
  if (!contents.ema.empty()) reserve(checkpoints / Manifest::ema_file, bytes_of(contents.ema));
}

}  // namespace

SavingProof prove_saving(const fs::path& checkpoints, const Checkpoint& contents, const CheckpointConfig& config,
                         std::int64_t saves) {
  fs::path anchor = checkpoints.lexically_normal();
  fs::path below;
  for (; anchor.has_filename() && !is_there(anchor); anchor = anchor.parent_path()) below = anchor.filename() / below;
  if (anchor.empty()) anchor = ".";
  try {
    const SavingProof proof = require_space(checkpoints, anchor, contents, config, saves);
    require_no_folder_as_link(checkpoints, config);
    remove_old_scratch(anchor);
    const TemporaryFolder scratch(anchor / fmt::format("{}{}", scratch_prefix, getpid()));
    save_and_read_back(below.empty() ? scratch.path() / "checkpoints" : scratch.path() / below.parent_path(), contents,
                       config);
    return proof;
  } catch (const SystemError& error) {
    throw RunError(where, "{}: this run could not save its checkpoints: {}; {}", checkpoints.string(),
                   without_where(error.what_without_hint()), remedy_of(error.error()));
  } catch (const RunError& error) {
    throw RunError(where, "{}: this run could not save its checkpoints: {}", checkpoints.string(),
                   without_where(error.what()));
  }
}

}  // namespace trainyard
