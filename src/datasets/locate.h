/// Finding a dataset's files on disk.
#pragma once

#include <string>
#include <vector>

namespace trainyard {

/// Where a dataset may lie, and what to tell who has not got it.
struct Places {
  std::string title;                    ///< as in "Fashion-MNIST"
  std::vector<std::string> below_root;  ///< folders of data.root tried after data.root itself
  std::vector<std::string> defaults;    ///< folders tried in order where data.root is empty
  std::string remedy;                   ///< as in "put ... in data/mnist"
};

/// The names one file may have, the preferred one first.
using FileNames = std::vector<std::string>;

/// The paths of all `wanted` files, in their order, in the first folder that has all of them. Where `root` is given,
/// only there. Throws UsageError "data.root" with the folders looked in and what each lacks.
std::vector<std::string> locate_files(const Places& places, const std::string& root,
                                      const std::vector<FileNames>& wanted);

}  // namespace trainyard
