/// Finds a dataset's files on disk.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace trainyard {

/// Returns `path` for the error that it does not exist: a relative one with the current folder, "photos (in /home/me)".
std::string missing_path(const std::string& path);

/// Returns `root`, which is data.root, or `standard` if it is empty. Throws UsageError if `root` is a file or does not
/// exist.
std::filesystem::path root_folder(const std::string& root, const char* standard);

/// Where a dataset may be stored, and what to advise if it is not found.
struct Places {
  std::string title;                    ///< e.g. "Fashion-MNIST"
  std::vector<std::string> below_root;  ///< folders of data.root tried after data.root itself
  std::vector<std::string> defaults;    ///< folders tried in order if data.root is empty
  std::string remedy;                   ///< e.g. "put ... in data/mnist"
};

/// The possible names of one file, the preferred one first.
using FileNames = std::vector<std::string>;

/// Returns the paths of all `wanted` files, in order, in the first folder that has all of them. If `root` is given,
/// only it is searched. Throws UsageError "data.root" with the folders searched and what is missing from each.
std::vector<std::string> locate_files(const Places& places, const std::string& root,
                                      const std::vector<FileNames>& wanted);

}  // namespace trainyard
