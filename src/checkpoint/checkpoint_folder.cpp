#include "checkpoint/checkpoint_folder.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <mutex>
#include <set>
#include <system_error>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "checkpoint/foreign_format.h"
#include "util/error.h"
#include "util/log.h"
#include "util/system_error.h"

namespace trainyard {
namespace fs = std::filesystem;
namespace {

constexpr const char* where = "checkpoint";
constexpr std::string_view step_prefix = "step-";
constexpr std::string_view temporary_prefix = ".tmp-";

// The names in a folder, sorted; empty if there is no such folder.
std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  if (error && error != std::errc::no_such_file_or_directory && error != std::errc::not_a_directory) {
    throw_system_error(where, "list", folder.string(), error.value());
  }
  std::sort(names.begin(), names.end());
  return names;
}

void remove_tree(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) throw_system_error(where, "remove", path.string(), error.value());
}

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

// The checkpoint that resolve_checkpoint() returns.
std::optional<fs::path> find_checkpoint(const fs::path& path) {
  for (const fs::path& link : {path, path / "last", path / "checkpoints" / "last"}) {
    const fs::path place = follow_link(link);
    if (is_there(place / Manifest::file_name)) return fs::canonical(place);
  }
  for (const fs::path& checkpoints : {path, path / "checkpoints"}) {  // e.g. copied without their links
    if (const std::optional<fs::path> found = newest(checkpoints)) return fs::canonical(*found);
  }
  return std::nullopt;
}

// Whether a checkpoint could not be read because a permission or a resource was missing.
bool may_be_whole(const RunError& error) {
  const auto* const failed = dynamic_cast<const SystemError*>(&error);
  if (failed == nullptr) return false;
  constexpr std::array missing = {EACCES, EPERM, EMFILE, ENFILE, ENOMEM};
  return std::find(missing.begin(), missing.end(), failed->error()) != missing.end();
}

// The name of the step folder that a text file contains; none if it is not such a file.
std::optional<std::string> step_name_in(const fs::path& file) {
  constexpr std::size_t most = 64;
  std::error_code error;
  if (!fs::is_regular_file(file, error) || fs::file_size(file, error) > most) return std::nullopt;
  std::string text = read_text_file(file.string(), where);
  while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
  return step_of(text) ? std::optional(text) : std::nullopt;
}

}  // namespace

fs::path follow_link(const fs::path& path) {
  const fs::path file = path.has_filename() ? path : path.parent_path();  // a user may write last/
  const std::optional<std::string> name = step_name_in(file);
  return name ? file.parent_path() / *name : path;
}

std::string step_folder_name(std::int64_t step) { return fmt::format("{}{:08}", step_prefix, step); }

std::optional<std::int64_t> step_of(const std::string& name) {
  std::int64_t step = 0;
  if (!name.starts_with(step_prefix)) return std::nullopt;
  const char* const begin = name.data() + step_prefix.size();
  const char* const end = name.data() + name.size();
  const auto [reached, error] = std::from_chars(begin, end, step);
  if (error != std::errc() || reached != end || step < 0 || name != step_folder_name(step)) return std::nullopt;
  return step;
}

std::vector<fs::path> step_folders(const fs::path& checkpoints) {
  std::vector<std::pair<std::int64_t, fs::path>> found;
  for (const std::string& name : names_in(checkpoints)) {
    if (const auto step = step_of(name)) found.emplace_back(*step, checkpoints / name);
  }
  std::sort(found.begin(), found.end());
  std::vector<fs::path> folders;
  for (auto& [step, folder] : found) folders.push_back(std::move(folder));
  return folders;
}

std::optional<fs::path> newest(const fs::path& checkpoints) {
  std::vector<fs::path> folders = step_folders(checkpoints);
  std::erase_if(folders, [](const fs::path& folder) { return !is_there(folder / Manifest::file_name); });
  return folders.empty() ? std::nullopt : std::optional(folders.back());
}

Mapping map_verified(const fs::path& folder, const std::string& name, const FileDigest& sum) {
  const std::string path = (folder / name).string();
  Mapping mapping = Mapping::read_only_file(path, where);
  const auto bytes = mapping.bytes();
  if (bytes.size() != sum.bytes) {
    const auto foreign = explain_foreign_format(bytes, path);
    throw RunError(where, "{}: {} bytes, the manifest says {}{}", path, bytes.size(), sum.bytes,
                   foreign ? "; it " + *foreign : "");
  }
  if (const std::uint32_t crc32 = crc32_of(bytes); crc32 != sum.crc32) {
    throw RunError(where, "{}: damaged: its CRC-32 is {:08x}, the manifest says {:08x}", path, crc32, sum.crc32);
  }
  return mapping;
}

Manifest verify_checkpoint(const fs::path& folder) {
  Manifest manifest = read_manifest(folder);
  for (const auto& [name, sum] : manifest.files) map_verified(folder, name, sum);
  return manifest;
}

std::optional<fs::path> newest_valid(const fs::path& checkpoints,
                                     const std::function<void(const std::string&)>& on_torn) {
  std::vector<fs::path> folders = step_folders(checkpoints);
  if (folders.empty()) return std::nullopt;
  std::reverse(folders.begin(), folders.end());
  std::vector<std::string> refused;
  for (const fs::path& folder : folders) {
    try {
      verify_checkpoint(folder);
      for (const std::string& reason : refused) on_torn("passing over " + reason);
      return folder;
    } catch (const RunError& error) {
      if (may_be_whole(error)) throw;
      refused.push_back(fmt::format("{}: {}", folder.filename().string(), error.what()));
    }
  }
  throw RunError(where,
                 "{} has checkpoints, and none of them can be read:\n  {}\nmove the run's folder away, or choose "
                 "another run.name",
                 checkpoints.string(), fmt::join(refused, "\n  "));
}

void point_link(const fs::path& checkpoints, const std::string& name, const fs::path& step_folder) {
  const fs::path target = step_folder.filename();
  try {
    replace_link_atomically(checkpoints / name, target);
  } catch (const RunError& refused) {
    write_file_atomically(checkpoints / name, [&](FileWriter& file) { file.write(target.string() + "\n"); });
    static std::once_flag said;
    std::call_once(said, [&] {
      log_warning("{}; `last` and `best` become text files that name the step's folder", refused.what());
    });
  }
}

std::optional<fs::path> linked(const fs::path& checkpoints, const std::string& name) {
  const fs::path link = checkpoints / name;
  std::error_code error;
  const fs::path target = fs::is_symlink(link, error) ? fs::read_symlink(link, error) : follow_link(link);
  const fs::path folder = checkpoints / target.filename();
  return is_there(folder / Manifest::file_name) ? std::optional(folder) : std::nullopt;
}

void prune(const fs::path& checkpoints, std::size_t keep) {
  std::set<std::string> kept;
  for (const char* name : {"last", "best"}) {
    if (const auto folder = linked(checkpoints, name)) kept.insert(folder->filename().string());
  }
  const std::vector<fs::path> folders = step_folders(checkpoints);
  for (std::size_t i = 0; i + keep < folders.size(); ++i) {
    const std::string name = folders[i].filename().string();
    if (kept.contains(name)) continue;
    const fs::path doomed = checkpoints / fmt::format("{}{}-pruned", temporary_prefix, name);
    remove_tree(doomed);
    check_call(std::rename(folders[i].c_str(), doomed.c_str()), where, "rename", folders[i].string());
  }
  if (is_there(checkpoints)) fsync_directory(checkpoints);
  for (const std::string& name : names_in(checkpoints)) {
    if (name.starts_with(temporary_prefix)) remove_tree(checkpoints / name);
  }
}

fs::path resolve_checkpoint(const fs::path& path) {
  if (const std::optional<fs::path> found = find_checkpoint(path)) return *found;
  if (!is_there(path)) throw UsageError(where, "there is no checkpoint {}: no such file or folder", path.string());
  if (!fs::is_directory(path)) {
    const fs::path folder = path.has_parent_path() ? path.parent_path() : ".";
    throw UsageError(where, "{} is a file; give {}", path.string(),
                     find_checkpoint(folder) ? "its folder, " + folder.string() : "a checkpoint's or a run's folder");
  }
  std::vector<std::string> names = names_in(is_there(path / "checkpoints") ? path / "checkpoints" : path);
  std::erase_if(names, [](const std::string& name) { return name.starts_with("."); });
  throw UsageError(where, "{} is neither a checkpoint nor a run that has one; there: {}", path.string(),
                   names.empty() ? "nothing" : fmt::format("{}", fmt::join(names, ", ")));
}

}  // namespace trainyard
