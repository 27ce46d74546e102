#pragma once

#include <filesystem>
#include <system_error>

#include <sys/stat.h>

#include "util/system.h"

namespace trainyard {

/// A new folder that is removed with its contents, unless it has been renamed by then. The constructor first removes
/// one of the same name that a dead process left, and throws RunError on failure.
class TemporaryFolder {
 public:
  explicit TemporaryFolder(std::filesystem::path path) : path_(std::move(path)) {
    remove();
    check_call(mkdir(path_.c_str(), 0777), "checkpoint", "mkdir", path_.string());
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() { remove(); }

  const std::filesystem::path& path() const { return path_; }

 private:
  void remove() const {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  std::filesystem::path path_;
};

}  // namespace trainyard
