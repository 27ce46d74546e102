/// Mounts a small tmpfs for a test.
#pragma once

#include <cstddef>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include "support/temp_dir.h"

namespace trainyard {

/// Mounted during its lifetime. Mounting requires root.
class Tmpfs {
 public:
  /// 0: no size limit.
  explicit Tmpfs(std::size_t kib)
      : mounted_(mount("none", path().c_str(), "tmpfs", 0, ("size=" + std::to_string(kib) + "k").c_str()) == 0) {}
  Tmpfs(const Tmpfs&) = delete;
  Tmpfs& operator=(const Tmpfs&) = delete;
  ~Tmpfs() {
    make_room();
    if (mounted_) {
      EXPECT_EQ(umount(path().c_str()), 0) << "something still uses it";
    }
  }

  bool mounted() const { return mounted_; }
  const std::string& path() const { return folder_.path(); }

  void fill_up() {
    std::ofstream rest(folder_ / "rest");
    const std::string kilobyte(1024, 'x');
    while (rest.write(kilobyte.data(), 1024).flush()) continue;
  }
  /// Undoes fill_up().
  void make_room() { unlink((folder_ / "rest").c_str()); }

 private:
  TempDir folder_;
  bool mounted_;
};

}  // namespace trainyard
