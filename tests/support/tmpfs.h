/// A small tmpfs of a test's own.
#pragma once

#include <cstddef>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include "util/error.h"

namespace trainyard {

/// Mounted for as long as it lives, which needs root.
class Tmpfs {
 public:
  /// 0: without a limit.
  explicit Tmpfs(std::size_t kib) : path_(testing::TempDir() + "trainyard-tmpfs-XXXXXX") {
    if (mkdtemp(path_.data()) == nullptr) throw RunError("tmpfs", "cannot make {}", path_);
    mounted_ = mount("none", path_.c_str(), "tmpfs", 0, ("size=" + std::to_string(kib) + "k").c_str()) == 0;
  }
  Tmpfs(const Tmpfs&) = delete;
  Tmpfs& operator=(const Tmpfs&) = delete;
  ~Tmpfs() {
    make_room();
    if (mounted_) {
      EXPECT_EQ(umount(path_.c_str()), 0) << "something still uses it";
    }
    rmdir(path_.c_str());
  }

  bool mounted() const { return mounted_; }
  const std::string& path() const { return path_; }

  void fill_up() {
    std::ofstream rest(path_ + "/rest");
    const std::string kilobyte(1024, 'x');
    while (rest.write(kilobyte.data(), 1024).flush()) continue;
  }
  /// Takes back what fill_up() did.
  void make_room() { unlink((path_ + "/rest").c_str()); }

 private:
  std::string path_;
  bool mounted_ = false;
};

}  // namespace trainyard
