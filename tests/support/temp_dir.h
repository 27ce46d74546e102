/// Creates a temporary folder for a test.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "util/error.h"

namespace trainyard {

/// The folder is empty at first and is removed with its contents on destruction.
class TempDir {
 public:
  TempDir() : path_((std::filesystem::temp_directory_path() / "trainyard-test-XXXXXX").string()) {
    if (mkdtemp(path_.data()) == nullptr) throw RunError("temp_dir", "cannot make {}", path_);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::string& path() const { return path_; }

  /// Returns the path of `name` in the folder.
  std::string operator/(std::string_view name) const { return (std::filesystem::path(path_) / name).string(); }

  /// Writes a file, creating missing parent folders, and returns its path.
  std::string write(std::string_view name, std::string_view content) const {
    const std::filesystem::path path = *this / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << content;
    return path.string();
  }

 private:
  std::string path_;
};

}  // namespace trainyard
