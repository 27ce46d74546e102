#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "check/gather.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;

constexpr const char* watched[] = {"libcuda.so",  "libcudart.so", "libcublas.so",
                                   "libcudnn.so", "libnccl.so",   "libnvjpeg.so"};
// Where NVIDIA's packages and images install another driver's libcuda.
constexpr const char* compat[] = {"/usr/local/cuda/compat", "/usr/local/cuda/compat/lib"};

bool is_watched(const std::string& name) {
  return std::any_of(std::begin(watched), std::end(watched),
                     [&](const char* prefix) { return name.starts_with(prefix); });
}

using Found = std::map<std::string, bool>;  // file → loaded

void add_folder(Found& found, const fs::path& folder) {
  std::error_code error;
  for (fs::directory_iterator each(folder, error), end; !error && each != end; each.increment(error)) {
    if (!is_watched(each->path().filename().string())) continue;
    std::error_code dangling;
    const fs::path file = fs::canonical(each->path(), dangling);
    if (!dangling) found.emplace(file.string(), false);
  }
}

// The last word of a line of /proc/self/maps is the mapped file.
void add_loaded(Found& found) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    const std::size_t start = line.find('/');
    if (start == std::string::npos) continue;
    const std::string file = line.substr(start);
    if (is_watched(fs::path(file).filename().string())) found[file] = true;
  }
}

}  // namespace

std::vector<LibraryFacts> gather_libraries(const std::string& search_path) {
  Found found;
  std::istringstream folders(search_path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (!folder.empty()) add_folder(found, folder);
  }
  for (const char* folder : compat) add_folder(found, folder);
  add_loaded(found);
  std::vector<LibraryFacts> libraries;
  for (const auto& [file, loaded] : found) {
    libraries.push_back({anonymous(fs::path(file).filename().string()), anonymous(file), loaded});
  }
  return libraries;
}

}  // namespace trainyard
