#include "datasets/litter.h"

#include <gtest/gtest.h>

namespace trainyard {
namespace {

TEST(Litter, IsWhatSystemsLeaveBeside) {
  for (const char* name :
       {".DS_Store", "._001.jpg", ".ipynb_checkpoints", ".git", "__MACOSX", "Thumbs.db", "desktop.ini", "@eaDir",
        "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found", "Icon\r"}) {
    EXPECT_TRUE(is_litter(name)) << name;
  }
  for (const char* name : {"001.jpg", "cat", "thumbs", "icon", "_001.jpg", "mac.osx"}) {
    EXPECT_FALSE(is_litter(name)) << name;
  }
}

TEST(Litter, AnyPartOfAPathCounts) {
  EXPECT_TRUE(path_has_litter("train/__MACOSX/cat/001.jpg"));
  EXPECT_TRUE(path_has_litter("./._001.jpg"));
  EXPECT_TRUE(path_has_litter("cat/.ipynb_checkpoints/1.jpg"));
  EXPECT_FALSE(path_has_litter("./train/cat/001.jpg"));
  EXPECT_FALSE(path_has_litter("../train/001.jpg"));
}

}  // namespace
}  // namespace trainyard
