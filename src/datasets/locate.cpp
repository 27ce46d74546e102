#include "datasets/locate.h"

#include <filesystem>
#include <system_error>

#include <fmt/ranges.h>

#include "util/error.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;

// Returns the first of `names` in `folder`, or "". A dangling link counts: reading it reports the error.
std::string find_in(const fs::path& folder, const FileNames& names, std::error_code& error) {
  for (const std::string& name : names) {
    const fs::path path = folder / name;
    const fs::file_type type = fs::status(path, error).type();
    if (type == fs::file_type::none) return "";
    error.clear();
    std::error_code ignored;
    if (type == fs::file_type::not_found ? fs::is_symlink(path, ignored) : type != fs::file_type::directory) {
      return path.string();
    }
  }
  return "";
}

}  // namespace

std::string missing_path(const std::string& path) {
  std::error_code ignored;
  return fs::path(path).is_absolute() ? path : fmt::format("{} (in {})", path, fs::current_path(ignored).string());
}

fs::path root_folder(const std::string& root, const char* standard) {
  if (root.empty()) return standard;
  std::error_code ignored;  // reading it reports the error
  const fs::file_type type = fs::status(root, ignored).type();
  if (type == fs::file_type::not_found) {
    throw UsageError("data.root", "there is no folder {}; set data.root to the folder of the data", missing_path(root));
  }
  if (type != fs::file_type::directory && type != fs::file_type::none) {
    throw UsageError("data.root", "{} is a file; give the folder of the data", root);
  }
  return root;
}

std::vector<std::string> locate_files(const Places& places, const std::string& root,
                                      const std::vector<FileNames>& wanted) {
  std::error_code ignored;
  std::vector<fs::path> folders;
  if (root.empty()) {
    folders.assign(places.defaults.begin(), places.defaults.end());
  } else {
    folders.push_back(root_folder(root, ""));
    for (const std::string& below : places.below_root) folders.push_back(fs::path(root) / below);
  }

  std::vector<std::string> misses;
  for (const fs::path& folder : folders) {
    std::vector<std::string> found;
    for (const FileNames& names : wanted) {
      std::error_code error;
      const std::string path = find_in(folder, names, error);
      if (path.empty()) {
        misses.push_back(error ? fmt::format("{} ({})", folder.string(), error.message())
                         : fs::is_directory(folder, ignored)
                             ? fmt::format("{} (lacks {})", folder.string(), names.front())
                             : fmt::format("{} (no such folder)", folder.string()));
        break;
      }
      found.push_back(path);
    }
    if (found.size() == wanted.size()) return found;
  }
  throw UsageError("data.root", "{} was not found; looked in: {}; {}", places.title, fmt::join(misses, ", "),
                   places.remedy);
}

}  // namespace trainyard
